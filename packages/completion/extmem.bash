# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Completion in bash for extmem, extmemd, extmem-auth and extmem-gateway. It asks the program's
# own --help, so it knows what that version has.

# Lines of --help as options: "--local=SIZE", "--json", "--no-json", "-l".
_extmem_options() { # PROGRAM [COMMAND]
	"$@" --help 2>/dev/null | sed -n \
		-e '/^  \(-., \|    \)--/!d' \
		-e 's/^ *//' \
		-e 's/\(--[^ ]*\) .*/\1/' \
		-e 's/^\(-.\), /\1\n/' \
		-e 's/--\[no-\]\(.*\)/--\1\n--no-\1/' \
		-e p
}

_extmem_commands() { # PROGRAM
	"$@" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  *[a-z].*/\1/p'
}

# How --help declares an option: "--local=SIZE" for -l, --local, or --local=64M.
_extmem_declaration() { # OPTIONS OPTION
	awk -v wanted="${2%%=*}" '
		{ name = $0; sub(/=.*/, "", name) }
		name == wanted && name ~ /^--/ || wanted == letter { print; exit }
		{ letter = name ~ /^-[^-]$/ ? name : "" }' <<<"$1"
}

_extmem_reply() { # ARGUMENTS OF COMPGEN
	local IFS=$' \t\n|'
	mapfile -t COMPREPLY < <(compgen "$@")
}

# What may follow an option that is declared so: "--polling=adaptive|busy", "--auth=FILE".
_extmem_values() { # DECLARATION WORD
	case ${1#*=} in
	FILE | PATH | DIR) _extmem_reply -f -- "$2" ;;
	*[!a-z0-9\|-]*) ;;
	*) _extmem_reply -W "${1#*=}" -- "$2" ;;
	esac
}

# Sets `option` to the declaration of an option that waits for its value at the end, and `begun`
# to where the program of `extmem run` begins, if it does before the last word.
_extmem_walk() { # OPTIONS COMMAND FIRST
	local i

	option='' begun=''
	for ((i = $3; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--) begun=$((i + 1)) ;;
		=) ;;
		-*)
			option=$(_extmem_declaration "$1" "${COMP_WORDS[i]}")
			[[ $option == *=* && ${COMP_WORDS[i]} != --*=* ]] || option=''
			;;
		*)
			[ -n "$option" ] || begun=$i
			option=''
			;;
		esac
		[ -z "$begun" ] || [[ $2 != run && $2 != advise ]] || return 0
	done
	begun=''
}

_extmem() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} command='' first=1
	local options option begun

	# bash divides at = what is one word to the program.
	[ "$word" != = ] || word=
	COMPREPLY=()
	if [ "${program##*/}" = extmem ]; then
		if ((COMP_CWORD == 1)) || [ "${COMP_WORDS[1]}" = help ]; then
			_extmem_reply -W "$(_extmem_commands "$program") --help --version" -- "$word"
			return
		fi
		command=${COMP_WORDS[1]}
		first=2
	fi
	# shellcheck disable=SC2086 # none, or one
	options=$(_extmem_options "$program" $command)
	_extmem_walk "$options" "$command" $first
	if [ -n "$begun" ] && ((begun < COMP_CWORD)); then
		_extmem_reply -f -- "$word"
	elif [ -n "$option" ]; then
		_extmem_values "$option" "$word"
	elif [[ $word == -* && -z $begun ]]; then
		_extmem_reply -W "$(sed 's/=.*/=/' <<<"$options")" -- "$word"
		[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
	elif [[ $command == run || $command == advise ]]; then
		_extmem_reply -c -- "$word"
	else
		_extmem_reply -f -- "$word"
	fi
}

complete -F _extmem extmem extmemd extmem-auth extmem-gateway
