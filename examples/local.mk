# SPDX-License-Identifier: BSD-3-Clause
# examples: what people copy. tests/shell/example.sh compiles and runs them
# (tests/shell/test_region.sh hand-over.c, test_share.sh shared-matrix.c);
# quickstart.sh ends with main-job.sh.

dist_noinst_DATA += \
	examples/checkpoint.c \
	examples/hand-over.c \
	examples/hello.c \
	examples/matrix.f90 \
	examples/shared-matrix.c \
	examples/vector.cc \
	$(NULL)
dist_noinst_SCRIPTS += examples/main-job.sh
