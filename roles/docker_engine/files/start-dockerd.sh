#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Starts dockerd where systemd does not run, and watches it until it answers or ends.
# Usage: start-dockerd.sh started|restarted SECONDS
set -eu
state=$1
patience=$2
socket=/var/run/docker.sock
pid_file=/var/run/docker.pid
containerd_pid_file=/var/run/docker/containerd/containerd.pid

# The program that a process runs; nothing when it has ended, though its parent may not have noticed.
program() {
  readlink "/proc/$1/exe" || true
}

# Whether the process of a pid file is that program: such files outlive their processes where nothing tidies /run, and
# their numbers are then those of other processes.
is_running() {
  [ -s "$1" ] || return 1
  case "$(program "$(cat "$1")")" in
    */"$2"*) return 0 ;;
    *) return 1 ;;
  esac
}

answers() {
  if command -v docker >/dev/null; then
    docker --host "unix://$socket" version >/dev/null 2>&1
  else
    [ -S "$socket" ]
  fi
}

stop() {
  old=$(cat "$pid_file")
  kill "$old"
  waited=0
  while [ -n "$(program "$old")" ] && [ "$waited" -lt "$patience" ]; do
    waited=$((waited + 1))
    sleep 1
  done
}

remove_what_is_stale() {
  is_running "$pid_file" dockerd || rm -f "$pid_file" "$socket"
  is_running "$containerd_pid_file" containerd || rm -f "$containerd_pid_file"
}

if [ "$(cat /proc/1/comm)" = init ]; then
  [ "$state" = restarted ] || remove_what_is_stale
  [ "$state" = restarted ] && verb=restart || verb=start
  service docker "$verb" >/dev/null
  lives() {
    service docker status >/dev/null 2>&1
  }
else
  if [ "$state" = restarted ] && is_running "$pid_file" dockerd; then
    stop
  fi
  remove_what_is_stale
  if is_running "$pid_file" dockerd; then
    dockerd=$(cat "$pid_file")
  else
    setsid nohup dockerd >/var/log/dockerd.log 2>&1 </dev/null &
    dockerd=$!
  fi
  lives() {
    [ -n "$(program "$dockerd")" ]
  }
fi

waited=0
until answers; do
  if ! lives; then
    echo "dockerd ended."
    exit 1
  fi
  if [ "$waited" -ge "$patience" ]; then
    echo "dockerd did not answer within $patience s."
    exit 1
  fi
  waited=$((waited + 1))
  sleep 1
done
