# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# The appliance's guest, read by guest.sh: serves until it is switched off.
network 10.66.0.1
item extmemd 3000 "$XM_BUILDDIR/extmemd" --listen ofi+tcp://10.66.0.1:7000 \
	--insecure-plaintext --memory 128M
