# SPDX-License-Identifier: BSD-3-Clause
# python: `import extmem`.

xm_shell_tests += \
	tests/python/test_python.sh \
	$(NULL)
EXTRA_DIST += \
	tests/python/test_extmem.py \
	$(NULL)
