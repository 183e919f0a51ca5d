/** Completion scripts for bash and zsh: one table, one reading of the line, two ways to offer. */
import type { CommandLineModel } from './commandModel.js';
import { completionTable } from './completionTable.js';

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** In the part of their language that bash and zsh (`emulate ksh`) share. */
const READ_LINE = `
# The kind of WORD of COMMAND, in _of_found; empty when there is none.
__openduck_fuse_kind() {
  local command word kind rest
  _of_found=
  while IFS='|' read -r command word kind rest; do
    [[ $word == "$2" ]] || continue
    [[ $command == "$1" || ( $command == '*' && $2 == -* ) ]] && _of_found=$kind
  done <<< "$__openduck_fuse_table"
}

__openduck_fuse_value() {
  case $1 in
    --database) _of_database=$2 ;;
    --data-dir | --config) _of_place+=("$1" "\${2/#\\~\\//$HOME/}") ;;
  esac
}

# The words after the program, the last one to be completed: which command they are, which
# positional comes next, which option waits for its value.
__openduck_fuse_read() {
  local word
  _of_command= _of_position=1 _of_database= _of_option= _of_kind= _of_place=()
  while [[ $# -gt 1 ]]; do
    word=$1
    shift
    if [[ -n $_of_option ]]; then
      __openduck_fuse_value "$_of_option" "$word"
      _of_option=
    elif [[ $word == --*=* ]]; then
      __openduck_fuse_value "\${word%%=*}" "\${word#*=}"
    elif [[ $word == -* ]]; then
      __openduck_fuse_kind "$_of_command" "$word"
      [[ $_of_found == value:* ]] && _of_option=$word _of_kind=\${_of_found#value:}
    else
      __openduck_fuse_kind "$_of_command" "$word"
      if [[ $_of_found == command && $_of_position == 1 ]]; then
        _of_command=\${_of_command:+$_of_command }$word
      else
        __openduck_fuse_kind "$_of_command" "$_of_position"
        [[ $_of_found == databases* ]] && _of_database=\${word%%@*}
        _of_position=$((_of_position + 1))
      fi
    fi
  done
  _of_current=$1
}

__openduck_fuse_ask() {
  command "$_of_program" completion "$@" "\${_of_place[@]}" 2> /dev/null
}

# Lines of WORD, a tab, DESCRIPTION for a kind of value.
__openduck_fuse_values() {
  local kind=$1 current=$2 name
  case $kind in
    databases | dropped | mounts) __openduck_fuse_ask "$kind" ;;
    references) [[ -n $_of_database ]] && __openduck_fuse_ask snapshots "$_of_database" ;;
    databases@)
      if [[ $current == *@* ]]; then
        name=\${current%%@*}
        __openduck_fuse_ask snapshots "$name" | while IFS= read -r kind; do
          printf '%s\\n' "$name@$kind"
        done
      else
        __openduck_fuse_ask databases
      fi ;;
    words:*)
      kind=\${kind#words:},
      while [[ -n $kind ]]; do
        printf '%s\\n' "\${kind%%,*}"
        kind=\${kind#*,}
      done ;;
  esac
}

# Lines of WORD, a tab, DESCRIPTION for a command or an option.
__openduck_fuse_words() {
  local command word kind rest
  while IFS='|' read -r command word kind rest; do
    if [[ $_of_current == -* ]]; then
      [[ $command == "$_of_command" || $command == '*' ]] || continue
      [[ $word == --* ]] || continue
      printf '%s\\t%s\\n' "$word" "$rest"
      [[ $kind == flag && $_of_current == --no* ]] && printf '%s\\t%s\\n' "--no-\${word#--}" ''
    elif [[ $kind == command && $command == "$_of_command" && $_of_position == 1 ]]; then
      printf '%s\\t%s\\n' "$word" "$rest"
    fi
  done <<< "$__openduck_fuse_table"
}

# What is asked for: _of_kind and _of_current of a value, and the _of_prefix before it.
__openduck_fuse_wanted() {
  _of_prefix=
  if [[ -z $_of_option && $_of_current == --*=* ]]; then
    __openduck_fuse_kind "$_of_command" "\${_of_current%%=*}"
    _of_option=\${_of_current%%=*} _of_kind=\${_of_found#value:}
    _of_prefix=$_of_option= _of_current=\${_of_current#*=}
  elif [[ -z $_of_option ]]; then
    __openduck_fuse_kind "$_of_command" "$_of_position"
    _of_kind=$_of_found
    [[ $_of_current == -* ]] && _of_kind=
  fi
}
`;

const BASH_OFFER = `
_openduck_fuse() {
  local _of_program _of_command _of_position _of_database _of_option _of_kind _of_current _of_found
  local _of_prefix _of_place line word rest mark cut= part
  local -a words
  # Not COMP_WORDS: they are cut at '@', '=' and ':'.
  line=\${COMP_LINE:0:COMP_POINT}
  read -a words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  _of_program=\${words[0]/#\\~\\//$HOME/}
  __openduck_fuse_read "\${words[@]:1}"
  __openduck_fuse_wanted
  for mark in '=' '@' ':'; do
    [[ $COMP_WORDBREAKS == *"$mark"* && $_of_prefix$_of_current == *"$mark"* ]] || continue
    part=$_of_prefix$_of_current
    part=\${part%"\${part##*"$mark"}"}
    ((\${#part} > \${#cut})) && cut=$part
  done
  COMPREPLY=()
  case $_of_kind in
    file | directory)
      [[ $_of_kind == file ]] && mark=-f || mark=-d
      compopt -o filenames 2> /dev/null
      while IFS= read -r word; do
        COMPREPLY+=("$word")
      done < <(compgen "$mark" -- "$_of_current") ;;
  esac
  while IFS=$'\\t' read -r word rest; do
    [[ $word == "$_of_current"* ]] || continue
    printf -v word %q "$_of_prefix$word"
    COMPREPLY+=("\${word#"$cut"}")
  done < <(
    __openduck_fuse_values "$_of_kind" "$_of_current"
    [[ -z $_of_option ]] && __openduck_fuse_words
  )
}

complete -F _openduck_fuse openduck-fuse
`;

const ZSH_OFFER = `
_openduck_fuse() {
  local _of_program _of_command _of_position _of_database _of_option _of_kind _of_current _of_found
  local _of_prefix
  local -a _of_place lines names shown
  local line
  _of_program=\${(Q)words[1]}
  __openduck_fuse_zsh_line "\${(@Q)words[2,CURRENT]}"
  compset -P "\${(b)_of_prefix}"
  case $_of_kind in
    file) _files ;;
    directory) _files -/ ;;
  esac
  lines=("\${(@f)$(__openduck_fuse_zsh_lines)}")
  for line in $lines; do
    names+=("\${line%%$'\\t'*}")
    shown+=("\${line/$'\\t'/  -- }")
  done
  [[ \${#names} -gt 0 ]] && compadd -l -d shown -a names
}

__openduck_fuse_zsh_line() {
  emulate -L ksh
  __openduck_fuse_read "$@"
  __openduck_fuse_wanted
}

__openduck_fuse_zsh_lines() {
  emulate -L ksh
  __openduck_fuse_values "$_of_kind" "$_of_current"
  [[ -z $_of_option ]] && __openduck_fuse_words
}

compdef _openduck_fuse openduck-fuse
`;

function table(model: CommandLineModel): string {
  return `__openduck_fuse_table=${quoted(completionTable(model).join('\n'))}\n`;
}

const heading = (shell: string, model: CommandLineModel): string =>
  `# Completion of ${model.program} ${model.version} for ${shell}; ` +
  `made by '${model.program} completion ${shell}'.\n`;

export function bashScript(model: CommandLineModel): string {
  return heading('bash', model) + table(model) + READ_LINE + BASH_OFFER;
}

/** To be sourced, or put on the fpath as \`_openduck-fuse\`. */
export function zshScript(model: CommandLineModel): string {
  return `#compdef openduck-fuse\n${heading('zsh', model)}${table(model)}${READ_LINE}${ZSH_OFFER}`;
}
