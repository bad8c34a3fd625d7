# SPDX-License-Identifier: BSD-3-Clause
# faces: regions as disks and files, used by programs of others.

xm_shell_tests += \
	tests/faces/test_disk.sh \
	tests/faces/test_disk_kept.sh \
	tests/faces/test_disk_loss.sh \
	tests/faces/test_disk_wrong.sh \
	tests/faces/test_disk_odd.sh \
	tests/faces/test_files.sh \
	tests/faces/test_files_kept.sh \
	tests/faces/test_files_loss.sh \
	tests/faces/test_files_wrong.sh \
	tests/faces/test_hypervisor.sh \
	tests/faces/test_places.sh \
	tests/faces/test_vm.sh \
	tests/faces/test_vm_move.sh \
	$(NULL)
EXTRA_DIST += tests/faces/rig.sh

# What test_vm.sh compiles for QEMU.
EXTRA_DIST += tests/faces/guest.c tests/faces/guest.ld tests/faces/guest_moves.c

# A client that test_places.sh starts in containers.
check_PROGRAMS += tests/faces/select
tests_faces_select_SOURCES = tests/faces/select.c

# Random operations on any folder; FILES_SECONDS=3600 make check TESTS=tests/faces/test_files.sh
check_PROGRAMS += tests/faces/files
tests_faces_files_SOURCES = tests/faces/files.c
tests_faces_files_LDADD =

# As root: changes this machine's swap.
check_PROGRAMS += tests/faces/hog
tests_faces_hog_SOURCES = tests/faces/hog.c
tests_faces_hog_LDADD =
dist_noinst_SCRIPTS += tests/faces/swap.sh
check-swap: tests/faces/hog$(EXEEXT) extmem$(EXEEXT) extmemd$(EXEEXT)
	@XM_BUILDDIR='$(abs_top_builddir)' XM_SRCDIR='$(abs_top_srcdir)' \
		'$(top_srcdir)/tests/faces/swap.sh'
.PHONY: check-swap
