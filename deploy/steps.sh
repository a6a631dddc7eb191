# shellcheck shell=bash
# Steps with visible progress, for the scripts that take long. Sourced; needs 'log_dir'.
#
#   run_step "compile" command...     one line with the elapsed time; the last line of output while
#                                     it runs on a terminal; on failure the end of its log

export steps_began=$EPOCHREALTIME

elapsed_since() { # EPOCHREALTIME
    local ms=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 1000))
    if ((ms < 60000)); then
        printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
    else
        printf '%d min %d s' $((ms / 60000)) $((ms % 60000 / 1000))
    fi
}

# One line on a terminal, again and again, until the process ends; else a sign of life per minute.
show_progress() { # PID TITLE LOG BEGAN
    local width=${COLUMNS:-80} line last=0 spin='-=~' turn=0
    while kill -0 "$1" 2>/dev/null; do
        if [[ -t 1 ]]; then
            line=$(tail -c 400 "$3" 2>/dev/null | tr -d '\0' | tr '\r' '\n' | tail -n 1) || true
            line=$(printf '%s %s  %s  %s' "${spin:turn++ % 3:1}" "$2" "$(elapsed_since "$4")" \
                "${line//[^[:print:]]/}")
            printf '\r\033[K%s' "${line:0:width-1}"
        elif ((EPOCHSECONDS - ${4%[.,]*} >= last + 60)); then
            last=$((EPOCHSECONDS - ${4%[.,]*}))
            printf '   %s: %s so far\n' "$2" "$(elapsed_since "$4")"
        fi
        sleep 0.1
    done
    [[ ! -t 1 ]] || printf '\r\033[K'
}

stop_step() {
    [[ -n ${step_pid-} ]] || return 0
    kill -TERM -- "-$step_pid" 2>/dev/null || true
    wait "$step_pid" 2>/dev/null || true
    step_pid=
}

run_step() { # TITLE COMMAND...
    : "${log_dir:?}"
    local title=$1 began=$EPOCHREALTIME status=0 log
    shift
    log=$log_dir/${title//[^A-Za-z0-9.]/-}.log
    set -m # a process group of its own, for stop_step
    "$@" >"$log" 2>&1 </dev/null &
    step_pid=$!
    set +m
    show_progress "$step_pid" "$title" "$log" "$began"
    wait "$step_pid" || status=$?
    step_pid=
    if ((status == 0)); then
        printf ' ok  %s  (%s)\n' "$title" "$(elapsed_since "$began")"
    else
        printf 'FAIL %s  (%s); its log is %s\n' "$title" "$(elapsed_since "$began")" "$log"
        tail -n "${step_tail:-25}" "$log" | sed 's/^/     /'
    fi
    return "$status"
}

# Ports in a row that nobody listens on.
find_ports() { # COUNT ; prints the first
    local base port try
    for ((try = 0; try < 50; try++)); do
        base=$((20000 + RANDOM % 10000))
        for ((port = base; port < base + $1; port++)); do
            ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue 2
        done
        break
    done
    echo "$base"
}
