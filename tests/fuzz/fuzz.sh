#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: fuzz.sh wire|service|strategy|tenants|psk|issued|forms SECONDS, with XM_SRCDIR and XM_BUILDDIR set (make fuzz).
# Fuzzes the decoder of control messages, the service machine, the parser of strategies and the planner, that of
# tenants files, of files of pre-shared keys, of what an authority has issued,
# or those of small forms.
# What breaks it is left in the folder build-fuzz; add it to tests/fuzz/corpus/NAME once it
# is understood.
set -eu
name=$1
seconds=$2
corpus=$XM_SRCDIR/tests/fuzz/corpus/$name
mkdir -p "$XM_BUILDDIR/build-fuzz/corpus-$name"
cd "$XM_BUILDDIR/build-fuzz"
pure=$XM_SRCDIR/core/pure
case $name in
wire) set -- "$pure/wire.c" "$pure/wire_cursor.c" ;;
service) set -- $(sed -n '/^libxm_service_la_SOURCES/,/NULL/s/^	\(.*\.c\) .*/\1/p' \
	"$XM_SRCDIR/appliance/local.mk" | sed "s|^|$XM_SRCDIR/|") "$pure/wire.c" \
	"$pure/wire_cursor.c" "$pure/trace.c" "$XM_SRCDIR/common/extent.c" \
	"$XM_SRCDIR/common/slots.c" "$XM_SRCDIR/common/words.c" ;;
issued) set -- "$XM_SRCDIR/cli/authority_issued.c" ;;
psk) set -- "$XM_SRCDIR/common/psk.c" ;;
forms) set -- -I"$XM_BUILDDIR" "$pure/label.c" "$pure/ledger.c" "$pure/tree.c" "$pure/seals.c" \
	"$XM_SRCDIR/common/options_parse.c" "$XM_SRCDIR/transports/frame.c" \
	"$XM_SRCDIR/transports/ofi/locator.c" "$XM_SRCDIR/appliance/store_form.c" ;;
tenants) set -- -I"$XM_BUILDDIR" "$XM_SRCDIR/appliance/tenants_file.c" \
	"$XM_SRCDIR/appliance/tenants.c" "$XM_SRCDIR/common/words.c" \
	"$XM_SRCDIR/common/options_parse.c" -linih ;;
*) set -- "$pure/strategy.c" "$pure/plan.c" "$pure/plan_words.c" \
	"$XM_SRCDIR/common/words.c" ;;
esac
if clang -std=gnu11 -g -O1 -DXM_LIBFUZZER -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -I"$XM_SRCDIR" \
	"$XM_SRCDIR/tests/fuzz/fuzz_$name.c" "$@" \
	"$XM_SRCDIR/tests/support/assert.c" -o "fuzz_$name" 2>clang.log; then
	exec "./fuzz_$name" -max_total_time="$seconds" -max_len=4200 \
		-print_final_stats=1 "corpus-$name" "$corpus"
fi
echo "clang with libFuzzer is not there (build-fuzz/clang.log): own driver"
end=$(($(date +%s) + seconds))
seed=$(date +%s)
while [ "$(date +%s)" -lt "$end" ]; do
	"$XM_BUILDDIR/tests/fuzz/fuzz_$name" -n 1000000 -s "$seed" "$corpus"/*
	seed=$((seed + 1))
done
