# SPDX-License-Identifier: BSD-3-Clause
# faces: regions as disks and files, used by programs of others.

xm_shell_tests += \
	tests/faces/test_disk.sh \
	tests/faces/test_disk_loss.sh \
	tests/faces/test_disk_wrong.sh \
	$(NULL)
EXTRA_DIST += tests/faces/rig.sh
