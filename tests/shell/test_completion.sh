#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Completion in bash and zsh offers every option and command of --help, and none besides.
. "$XM_SRCDIR/tests/support/count.sh"

folder=$XM_SRCDIR/packages/completion
PATH=$XM_BUILDDIR:$PATH

# usage: said PROGRAM [COMMAND]: the options that --help declares, one a line.
said() {
	"$@" --help | sed -n 's/^  \(-., \|    \)--/\1--/p' >"$scratch/lines"
	sed -n 's/^\(-.\),.*/\1/p' "$scratch/lines"
	sed -e 's/\[no-\]//' -e 's/^[^-]*\(-., \)*//' "$scratch/lines" |
		grep -o '^--[a-z0-9-]*'
	grep -o -e '--\[no-\][a-z0-9-]*' "$scratch/lines" | tr -d '[]'
}

commands() {
	extmem --help | sed -n 's/^  \([a-z]*\) .*/\1/p'
}

# usage: in_bash WORD...: what is offered for the last word.
in_bash() {
	bash -c '. "$0/extmem.bash"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_extmem 2>"$scratch/err"
		printf "%s\n" "${COMPREPLY[@]}"' "$folder" "$@"
}

# usage: in_zsh WORD...: the options that _arguments is given for these words, or the commands
# that _describe is.
in_zsh() {
	zsh -f -c 'folder=$1; shift
		_arguments() { print -l -- "${@:#-[sS]}" | sed -e "s/^\*//" -e "s/[=[].*//" | grep "^-" }
		_describe() { print -l -- "${commands[@]%%:*}" }
		words=("$@") CURRENT=$#
		source "$folder/_extmem"' zsh "$folder" "$@"
}

# usage: same_in SHELL PROGRAM [COMMAND]
same_in() {
	shell=$1
	shift
	said "$@" | sort -u >"$scratch/out"
	[ -s "$scratch/out" ] || return
	case $shell in
	bash) { in_bash "$@" -; } | sed 's/=$//' ;;
	zsh) in_zsh "$@" - ;;
	esac | sort -u | diff - "$scratch/out" >"$scratch/err"
}

# usage: offers WORDS WORD...: bash offers exactly these.
offers() {
	wanted=$1
	shift
	[ "$(in_bash "$@" | sort | tr '\n' ' ')" = "$wanted " ]
}

programs='extmemd'
[ ! -x "$XM_BUILDDIR/extmem-auth" ] || programs="$programs extmem-auth"
[ ! -x "$XM_BUILDDIR/extmem-gateway" ] || programs="$programs extmem-gateway"
export scratch

for shell in bash zsh; do
	command -v $shell >/dev/null || {
		echo "skipped $shell: it is not here"
		continue
	}
	for program in $programs; do
		check "$shell: every option of $program, and no other" same_in $shell $program
	done
	for command in $(commands); do
		[ "$command" != help ] || continue
		# It may be a program that is not built.
		extmem "$command" --help >/dev/null 2>&1 || continue
		check "$shell: every option of extmem $command, and no other" \
			same_in $shell extmem "$command"
	done
	commands | sort >"$scratch/commands"
	"in_$shell" extmem '' | grep -v '^-' | sort | diff - "$scratch/commands" >"$scratch/out"
	verdict "$shell: every command of extmem" $?
done

if command -v bash >/dev/null; then
	check "bash: the values of an option" \
		offers 'adaptive block busy' extmemd --polling ''
	check "bash: and where it divided at the sign" \
		offers 'auto' extmem run --paging = a
	check "bash: and behind a letter" offers '' extmem run -l ''
	touch "$scratch/one file" "$scratch/other"
	check "bash: files, with blanks" offers "$scratch/one file" \
		extmemd -c "$scratch/one"
	check "bash: a program, after an option with a value" \
		offers extmem-auth extmem run --local 64M extmem-au
	check "bash: the program's options are its own" \
		offers '' extmem run --local 64M sort --lo
	check "bash: so are they after --" offers '' extmem run -- sort --lo
fi
summary
