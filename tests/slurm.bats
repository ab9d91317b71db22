# examples/synthetic/slurm.sh on a cluster of three nodes, all on this machine and in a directory of the test.
bats_require_minimum_version 1.5.0

setup() {
    for c in munged slurmctld slurmd sbatch; do
        command -v $c >/dev/null || skip "no $c here: make deps installs Debian's slurmd, slurmctld, slurm-client and munge"
    done
    SYN="$BATS_TEST_DIRNAME/../examples/synthetic"
    D=$(mktemp -d /tmp/llm-slurm.XXXXXX) # a socket's path is short
    cd "$D" || return 1
    : >pids
}

# Each daemon runs in a keeper: what ends it ends all its jobs.
teardown() {
    cd /
    while read -r pid; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done <"$D/pids"
    [ -z "$BATS_TEST_COMPLETED" ] || rm -rf "$D"
}

# start NAME COMMAND ...: a daemon; its keeper's pid is in NAME.pid, what it says in NAME.log.
start() {
    local name=$1
    shift
    "$BUILD/tests/keeper" "$@" >>"$name.log" 2>&1 3>&- &
    echo $! | tee -a pids >"$name.pid"
}

free_port() {
    local p
    while :; do
        p=$((20000 + RANDOM % 12000))
        grep -q "^$p$" ports 2>/dev/null || (: <"/dev/tcp/127.0.0.1/$p") 2>/dev/null || break
    done
    echo $p | tee -a ports
}

configure() {
    local me host
    me=$(id -un)
    host=$(uname -n)
    host=${host%%.*}
    mkdir state n1 n2 n3
    cat >slurm.conf <<EOT
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
AuthInfo=socket=$D/munge.sock
CredType=cred/munge
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/%n
SlurmctldPidFile=$D/state/pid
SlurmdPidFile=$D/%n/pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/linear
SchedulerParameters=bf_interval=1,sched_interval=2
SlurmdTimeout=6
MessageTimeout=4
TCPTimeout=2
KillWait=2
ReturnToService=2
MailProg=/bin/true
EOT
    for n in n1 n2 n3; do
        echo "NodeName=$n NodeHostname=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=1 RealMemory=1"
    done >>slurm.conf
    # Not what the machine has: a container may have no control groups, or no systemd for those of version 2.
    echo CgroupPlugin=cgroup/v1 >cgroup.conf
    echo "PartitionName=main Nodes=n[1-3] Default=YES MaxTime=INFINITE State=UP" >>slurm.conf
    SLURM_CONF=$D/slurm.conf
    export SLURM_CONF
}

cluster() {
    configure
    head -c 1024 /dev/urandom >munge.key
    chmod 600 munge.key
    start munged munged --foreground --force --key-file="$D/munge.key" --socket="$D/munge.sock" --pid-file="$D/munge.pid" \
        --log-file="$D/munge.log" --seed-file="$D/munge.seed"
    until_true 30 test -S munge.sock
    start slurmctld slurmctld -D -i
    for n in n1 n2 n3; do start $n slurmd -D -N $n; done
    until_true 60 idle 3
}

# until_true SECONDS COMMAND ...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || {
            echo "not in time: $*" >&2
            squeue -r
            sinfo -N
            tail -n 20 ./*.log out/log/* >&2
            return 1
        }
        sleep 0.1
    done
}

idle() {
    [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" = "$1" ]
}

answering() {
    squeue >/dev/null 2>&1
}

# lines N FILE ...: is that much in any of the files?
lines() {
    local n=$1
    shift
    [ "$(cat "$@" 2>/dev/null | wc -l)" -ge "$n" ]
}

# The tasks that run on a node.
on() {
    squeue -h -r -t R -w "$1" -o "${2:-%A}"
}

# What was requeued waits two minutes, which nobody here needs.
release() {
    squeue -h -r -t PD -o '%A %r' | while read -r job why; do
        [ "$why" != BeginTime ] || scontrol update "JobId=$job" StartTime=now
    done
}

restarted() { # JOB: does it run a second time?
    release
    scontrol -o show job "$1" | grep -q 'JobState=\(RUNNING\|COMPLETED\).* Restarts=[1-9]'
}

# Does Slurm know that these nodes are lost?
down() {
    [ "$(sinfo -h -N -o '%N %t' | grep down | cut -d' ' -f1 | sort -u | tr '\n' ' ')" = "$* " ]
}

scoring() {
    release
    lines 1 out/scored.*.a0
}

done_all() {
    release
    [ -z "$(squeue -h 2>/dev/null || echo down)" ]
}

@test "slurm: a node lost, one hung, a task told to stop, the controller killed: the one machine's data set" {
    # The first three tasks have some records, and get the others when the faults have happened.
    mkdir bin out
    cat >bin/llm-generate <<EOT
#!/bin/bash
feed() {
    head -n 40 "\$1"
    until [ "\$SLURM_RESTART_COUNT" ] || [ "\$SLURM_ARRAY_TASK_ID" -gt 3 ] || [ -e "$D/go" ]; do sleep 0.1; done
    tail -n +41 "\$1"
}
exec < <(feed "\${!#}")
exec "$BUILD/llm-generate" "\${@:1:\$#-1}" -
EOT
    chmod +x bin/llm-generate
    make -s -C "$SYN" OUT="$D/whole" COUNT=80 dataset
    cluster
    PATH="$D/bin:$PATH" OUT="$D/out" COUNT=80 MODEL_OPTIONS="-j 1" "$SYN/slurm.sh" 6
    until_true 60 lines 3 out/answered.1of6.jsonl.a0
    until_true 60 lines 3 out/answered.2of6.jsonl.a0
    until_true 60 lines 3 out/answered.3of6.jsonl.a0

    # The controller: killed when it has written down what runs where, which takes it some seconds.
    touch mark
    scontrol update JobId=5 Comment=x
    until_true 30 test state/job_state -nt mark
    pid=$(cat slurmctld.pid)
    kill "$pid"
    wait "$pid" || :
    sleep 2
    start slurmctld slurmctld -D
    until_true 60 answering

    lost=$(on n1) hung=$(on n2) told=$(on n3) shard=$(on n2 %K)
    # It says when it has been obeyed, which a task that is in the queue again at once seems not to have.
    scancel --signal=TERM --batch "$told" >scancel.log 2>&1 3>&- &
    until_true 60 restarted "$told"
    kill "$(cat n1.pid)"
    kill -STOP "$(cat n2/pid)" # its task lives on
    until_true 60 down n1 n2
    # Elsewhere: that the lost attempt is to be ended is said to n1 when it comes back, by the task's
    # number alone, and would hit another attempt there.
    until_true 60 restarted "$lost"
    until_true 60 restarted "$hung"
    start n1 slurmd -D -N n1
    touch go # both attempts are at the hung node's records
    until_true 120 scoring
    kill -CONT "$(cat n2/pid)"

    until_true 120 done_all

    tail -n 100 out/log/*
    for s in clean answered sound scored good dataset; do
        cmp "whole/$s.jsonl" "out/$s.jsonl"
    done
    # What was done was not done again, except where nobody could know.
    [ "$(cat out/answered.*.a1 | wc -l)" -gt 0 ]
    [ -n "$(cat "out/answered.${shard}of6.jsonl".a? | sort | uniq -d)" ]
    [ "$(find out -name 'answered.*.jsonl.a?' ! -name "answered.${shard}of6.*" -exec cat {} + | sort | uniq -d | wc -l)" = 0 ]
}
