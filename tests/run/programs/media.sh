# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Programs of pictures, sound and documents.
all="$all imagemagick"

imagemagick_needs=/usr/bin/convert-im6.q16
imagemagick_input() { :; }
imagemagick_() {
	$under /usr/bin/convert-im6.q16 -limit memory 1GiB -limit map 1GiB \
		-limit thread 2 -size 700x500 -seed 7 plasma:red-blue \
		-blur 0x3 -resize 450x350\! -depth 8 rgb:picture
}
