#!/bin/sh
# upssched-cmd - written by nutwizard; checksum @CHECKSUM@
# upssched runs it as the user nut, with one argument: a word of an AT line in
# /etc/nut/upssched.conf. Actions of your own belong in upssched-own, below:
# nutwizard never touches that file. Edit this one and it is yours: nutwizard
# sees that by the checksum, and from then on leaves it alone.
# Everything is quoted, so that no text of the UPS or of the network can become
# a command or an option.
set -uf
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
export PATH LC_ALL

default_ups='@UPS@'
wall=@WALL@
# Where this is an executable file, it is called with three arguments: the word,
# the UPS, the message.
own=/usr/local/sbin/upssched-own
own_limit=30

# No call may hold the script: a server that is gone, a log that is full, a
# terminal that is stuck.
limit=10
bounded() {
    timeout -k 2 "$limit" "$@"
}

# One line, printable, at most $1 characters.
clean() {
    head -n 1 | tr -cd '[:print:]' | cut -c "1-$1"
}

# The value of a variable of the UPS, or "unknown".
ask() {
    value=$(bounded upsc "$ups" "$1" 2>/dev/null | clean 60)
    printf '%s' "${value:-unknown}"
}

log() {
    bounded logger -i -t upssched-cmd -- "$1"
}

# The user's own actions; how they end is logged.
call_own() {
    timeout -k 2 "$own_limit" "$own" "$event" "$ups" "$message"
    code=$?
    case $code in
        0) ;;
        124 | 137) log "ERROR - $own $event was ended after $own_limit s" ;;
        *) log "ERROR - $own $event ended with code $code" ;;
    esac
}

# nutwizard check runs it so, to see that it runs at all.
[ "${1-}" != nutwizard_check ] || exit 0

event=$(printf '%s' "${1-}" | clean 40)
log "Calling upssched-cmd $event"

# upssched names the UPS in UPSNAME; what cannot be the name of one is not used.
ups=${UPSNAME:-$default_ups}
case $ups in
    -* | *[!]A-Za-z0-9._@:%[-]*) ups=$default_ups ;;
esac
[ "${#ups}" -le 255 ] || ups=$default_ups

# An argument that had to be cleaned is none that we know.
[ "$event" = "${1-}" ] || event="$event (unprintable or too long)"
fsd=no
case $event in
    online) text='INFO - Power supply is back online.' ;;
    onbatt) text='WARNING - Power failure. Now running on battery.' ;;
    lowbatt) text='WARNING - Low battery. Shutdown now.' ;;
    fsd) text='WARNING - Forced shutdown in progress.' ;;
    shutdown) text='WARNING - This machine is shutting down.' ;;
    commok) text='INFO - The UPS answers again.' ;;
    commbad) text='WARNING - The UPS stopped answering.' ;;
    nocomm) text='WARNING - The UPS cannot be reached.' ;;
    noparent) text='WARNING - upsmon lost its root part: it cannot shut down.' ;;
    replbatt) text='WARNING - The battery needs to be replaced.' ;;
    cal) text='INFO - Calibration is running.' ;;
    notcal) text='INFO - Calibration has ended.' ;;
    off) text='WARNING - The UPS reports that its output is off.' ;;
    notoff) text='INFO - The UPS output is no longer off.' ;;
    bypass) text='WARNING - The UPS is on bypass and does not protect.' ;;
    notbypass) text='INFO - The UPS is no longer on bypass.' ;;
    eco) text='INFO - The UPS is in ECO mode.' ;;
    noteco) text='INFO - The UPS is no longer in ECO mode.' ;;
    alarm) text='WARNING - The UPS reports an alarm.' ;;
    notalarm) text='INFO - The UPS reports no alarm any more.' ;;
    over) text='WARNING - The UPS is overloaded.' ;;
    notover) text='INFO - The UPS is no longer overloaded.' ;;
    trim) text='INFO - The UPS is lowering a high voltage.' ;;
    nottrim) text='INFO - The UPS is no longer lowering the voltage.' ;;
    boost) text='INFO - The UPS is raising a low voltage.' ;;
    notboost) text='INFO - The UPS is no longer raising the voltage.' ;;
    other) text='WARNING - The UPS has a status that NUT does not know.' ;;
    notother) text='INFO - The UPS has no unknown status any more.' ;;
    suspend_starting) text='INFO - This machine is going to sleep.' ;;
    suspend_finished) text='INFO - This machine woke up.' ;;
    # @TIMERS@
    *) text='' ;;
esac

# nutwizard test-event sets this: nothing has happened, so nothing is shut down.
test=${NUTWIZARD_TEST:+TEST, nothing has happened: }
[ -z "$test" ] || fsd=no

# A forced shutdown does not wait long for words about it.
[ "$fsd" = no ] || limit=3
status=$(ask ups.status)
charge=unknown
[ "$status" = unknown ] || charge=$(ask battery.charge)
state="[$status]:$charge%"

if [ -z "$text" ]; then
    log "ERROR - Bad argument: \"$event\", $state"
    exit 1
fi

message="$test$ups, $state - $text"
log "$message"
if [ "$fsd" = yes ]; then
    limit=10
    said=$(bounded upsmon -c fsd 2>&1)
    code=$?
    said=$(printf '%s\n' "$said" | tail -n 1 | clean 120)
    [ "$code" = 0 ] || log "ERROR - upsmon -c fsd ended with code $code: $said"
fi
# In the background: upssched's timers stand still while this script runs. The
# braces let go of the caller's output, which dash keeps open for a function.
if [ -f "$own" ] && [ -x "$own" ]; then
    { call_own; } </dev/null >/dev/null 2>&1 &
fi
if [ "$wall" = yes ]; then
    printf '%s\n' "$message" | bounded wall
fi
if command -v notify-send-all >/dev/null; then
    bounded notify-send-all "$message"
fi
exit 0
