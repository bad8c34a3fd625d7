# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Programs of pictures, sound and documents.
all="$all imagemagick ffmpeg povray libreoffice chromium"

imagemagick_needs=/usr/bin/convert-im6.q16
imagemagick_input() { :; }
imagemagick_() {
	$under /usr/bin/convert-im6.q16 -limit memory 1GiB -limit map 1GiB \
		-limit thread 2 -size 700x500 -seed 7 plasma:red-blue \
		-blur 0x3 -resize 450x350\! -depth 8 rgb:picture
}

ffmpeg_needs=ffmpeg
ffmpeg_input() { :; }
ffmpeg_() {
	$under ffmpeg -nostdin -v error -threads 2 -filter_threads 2 -bitexact \
		-f lavfi -i testsrc2=size=1280x720:rate=10:duration=1.5 \
		-c:v mpeg4 -q:v 3 -bitexact -y video.avi
}

povray_needs=povray
povray_input() {
	awk 'BEGIN {
		print "camera { location <0, 6, -14> look_at <0, 0, 4> }"
		print "light_source { <10, 20, -20> rgb 1 }"
		for (i = 0; i < 20000; i++)
			printf "sphere { <%g, %g, %g> 0.12 pigment { rgb <%g, %g, 0.5> } }\n",
				i % 101 / 5 - 10, i % 37 / 9 - 2, i % 211 / 9,
				i % 7 / 7, i % 11 / 11
	}' >"$in/povray.pov"
}
povray_() {
	cp "$in/povray.pov" scene.pov && $under povray +Iscene.pov +Oscene.ppm +FP8 \
		+W120 +H90 -A -D -GA +WT2 >said 2>&1
	status=$?
	# The time stands in a comment.
	grep -av '^#' scene.ppm >picture
	rm -f said scene.ppm
	return $status
}

# The program proper, soffice.bin, is begun by others. When it has made a user's folder
# it ends with status 81, to be begun again.
libreoffice_needs=/usr/lib/libreoffice/program/soffice.bin
libreoffice_input() {
	awk 'BEGIN {
		for (i = 0; i < 3000; i++)
			printf "row %d,%d,%d,text number %d\n", i, i * 7919 % 10007,
				i * 3, i * 31 % 977
	}' >"$in/libreoffice.csv"
}
libreoffice_() {
	for attempt in 1 2; do
		$under "$libreoffice_needs" --headless --norestore --nologo \
			--convert-to html "-env:UserInstallation=file://$HOME/office" \
			--outdir "$PWD" "$in/libreoffice.csv" >said 2>&1
		status=$?
		[ $status -eq 81 ] || break
	done
	rm -f said
	[ -s libreoffice.html ] && return $status
}

# The program proper is begun by a script.
chromium_needs=/usr/lib/chromium/chromium-headless-shell
chromium_rest="relocated tables, compiled code and shared memory of its own"
chromium_input() {
	cat >"$in/chromium.html" <<'END'
<!DOCTYPE html><title>table</title><table id=t></table><p id=p></p><script>
let rows = [];
for (let i = 0; i < 20000; i++) rows.push({ i, key: i * 7919 % 10007, name: 'row ' + i });
rows.sort((a, b) => a.key - b.key || a.i - b.i);
for (const r of rows.slice(0, 1500)) {
	const tr = document.createElement('tr');
	for (const x of [r.i, r.key, r.name]) {
		const td = document.createElement('td');
		td.textContent = x;
		tr.append(td);
	}
	document.getElementById('t').append(tr);
}
let sum = 0;
for (const r of rows) sum = (sum * 31 + r.key + r.name.length) % 1000000007;
document.getElementById('p').textContent = sum;
</script>
END
}
chromium_() {
	$under "$chromium_needs" --single-process --no-sandbox --no-zygote \
		--disable-gpu --disable-dev-shm-usage --user-data-dir="$HOME/chromium" \
		--dump-dom "file://$in/chromium.html" >page 2>said
	status=$?
	rm -f said
	[ -s page ] && return $status
}
