# SPDX-License-Identifier: BSD-3-Clause
# examples: what people copy. tests/shell/example.sh compiles and runs hello.c;
# quickstart.sh ends with main-job.sh.

dist_noinst_DATA += examples/hello.c
dist_noinst_SCRIPTS += examples/main-job.sh
