#!/bin/sh
# upssched-cmd - written by nutwizard; run by upssched as the user nut, with one argument: the event.
# Yours to extend: a word of an AT line in /etc/nut/upssched.conf is a case below. Everything is quoted,
# so that no text of the UPS or of the network can become a command or an option: keep it that way.
set -uf
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
export PATH LC_ALL

default_ups='@UPS@'
wall=@WALL@

# No call may hold the script: a server that is gone, a log that is full, a terminal that is stuck.
bounded() {
    timeout -k 2 10 "$@"
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

event=$(printf '%s' "${1-}" | clean 40)
log "Calling upssched-cmd $event"

# upssched names the UPS of the event in UPSNAME; what cannot be the name of one is not used.
ups=${UPSNAME:-$default_ups}
case $ups in
    -* | *[!]A-Za-z0-9._@:%[-]*) ups=$default_ups ;;
esac
[ "${#ups}" -le 255 ] || ups=$default_ups

# An argument that had to be cleaned is none that we know.
[ "$event" = "${1-}" ] || event="$event (unprintable or too long)"
case $event in
    online) text='INFO - Power supply is back online.' ;;
    onbatt) text='WARNING - Power failure. Now running on battery.' ;;
    lowbatt) text='WARNING - Low battery. Shutdown now.' ;;
    fsd) text='WARNING - Forced shutdown in progress.' ;;
    shutdown) text='WARNING - This machine is shutting down.' ;;
    commok) text='INFO - The UPS answers again.' ;;
    commbad) text='WARNING - The UPS stopped answering.' ;;
    nocomm) text='WARNING - The UPS cannot be reached.' ;;
    noparent) text='WARNING - upsmon lost its root process and cannot shut this machine down.' ;;
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
    *) text='' ;;
esac

status=$(ask ups.status)
charge=unknown
[ "$status" = unknown ] || charge=$(ask battery.charge)
state="[$status]:$charge%"

if [ -z "$text" ]; then
    log "ERROR - Bad argument: \"$event\", $state"
    exit 1
fi

message="$ups, $state - $text"
log "$message"
if [ "$wall" = yes ]; then
    printf '%s\n' "$message" | bounded wall
fi
if command -v notify-send-all >/dev/null; then
    bounded notify-send-all "$message"
fi
exit 0
