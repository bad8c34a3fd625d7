# SPDX-License-Identifier: BSD-3-Clause
# sim: a world in one process.
