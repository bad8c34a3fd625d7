# SPDX-License-Identifier: BSD-3-Clause
# faces: regions as disks and files, used by programs of others.

xm_shell_tests += \
	tests/faces/test_disk.sh \
	tests/faces/test_disk_loss.sh \
	tests/faces/test_disk_wrong.sh \
	tests/faces/test_files.sh \
	tests/faces/test_files_loss.sh \
	tests/faces/test_files_wrong.sh \
	$(NULL)
EXTRA_DIST += tests/faces/rig.sh

# Random operations on any folder; FILES_SECONDS=3600 make check TESTS=tests/faces/test_files.sh
check_PROGRAMS += tests/faces/files
tests_faces_files_SOURCES = tests/faces/files.c
tests_faces_files_LDADD =
