#!/usr/bin/perl
# Holds listening sockets and runs a program on them, one generation after the other: upgrades without a gap where there is no systemd.
# Needs nothing but perl-base. As the first process of a container it also waits for processes that lost their parent.
use strict;
use warnings;
use Errno qw(EADDRINUSE);
use Fcntl qw(F_DUPFD);
use POSIX qw(:sys_wait_h :signal_h);
use Socket qw(:DEFAULT :addrinfo SOCK_STREAM SOL_SOCKET SO_REUSEADDR pack_sockaddr_un);

my $USAGE = <<'END_OF_USAGE';
Usage: supervise.pl --socket NAME=ADDRESS [--socket ...] -- PROGRAM [ARGUMENT ...]

  --socket NAME=ADDRESS  listen there and pass the socket to PROGRAM under this name (LISTEN_FDNAMES); ADDRESS is IPV4:PORT, [IPV6]:PORT
                         or unix:/PATH; may be repeated
  --help                 print this

Signals:
  HUP             start a new generation of PROGRAM; the old one runs until the new one tells it to end (linksocks server --take-over)
  TERM, INT, QUIT pass the signal on to all generations, and end with the last one

PROGRAM is started again a second after its last generation ended without being asked to; one that has closed the sockets does not count.
If it can't be started the first time, or ends then with exit code 2 or 3, so does this one. SIGHUP looks PROGRAM up again: let it be a
link that an upgrade changes.

Example:
  supervise.pl --socket http=0.0.0.0:8765 --socket socks=127.0.0.1:1080 -- linksocks server --take-over --data-dir ./data
END_OF_USAGE

my $BACKLOG = 65_535;    # the kernel caps it (net.core.somaxconn): connections wait there between two generations
my $RESTART_SECONDS = 1;
# of the program: a wrong flag, a refused token. Of the shell: it can't be run, it is not there.
my %FOR_GOOD = map { $_ => 1 } 2, 3, 126, 127;
my @ENDING = qw(TERM INT QUIT);

my (@sockets, @unix_paths);
my %generation;          # number, by process
my $newest = 0;
my %caught;              # signals that nothing was done about yet
my ($stopping, $exit_code, $started_by) = (0, 0, $$);

$| = 1;
my @program = read_arguments(@ARGV);
my $signals = POSIX::SigSet->new(map { POSIX->can("SIG$_")->() } @ENDING, qw(HUP CHLD ALRM));
# they come only while the loop waits for them
sigprocmask(SIG_BLOCK, $signals);
for my $name (@ENDING, qw(HUP CHLD ALRM)) {
    $SIG{$name} = sub { $caught{$name} = 1 };
}
open_socket(@$_) for @sockets;
note("process $$ listens; SIGHUP starts a new generation");
start_generation();
while (%generation || !$stopping) {
    sigsuspend(POSIX::SigSet->new) unless %caught;
    handle($_) for sort keys %caught;
}
exit $exit_code;

END { unlink @unix_paths if defined $started_by && $$ == $started_by }

sub note { print STDERR "supervise: @_\n" }

sub fail {
    my ($code, $text) = @_;
    note($text);
    exit $code;
}

sub read_arguments {
    my @arguments = @_;
    while (@arguments) {
        my $argument = shift @arguments;
        if ($argument eq '--help') { print $USAGE; exit 0 }
        last if $argument eq '--';
        my $text = $argument eq '--socket' ? shift @arguments : $argument =~ /^--socket=(.*)/s ? $1 : undef;
        fail(2, $argument eq '--socket' ? '--socket: needs NAME=ADDRESS' : "$argument: unknown, see --help") unless defined $text;
        my ($name, $address) = $text =~ /^([\w.-]+)=(.+)$/ or fail(2, "--socket $text: is not NAME=ADDRESS");
        push @sockets, [$name, $address];
    }
    fail(2, 'no --socket: see --help') unless @sockets;
    fail(2, 'no program after --: see --help') unless @arguments;
    return @arguments;
}

# Replaces the name and the address by the name and the socket.
sub open_socket {
    my ($name, $address) = @_;
    my ($family, $packed) = pack_address($address);
    socket(my $socket, $family, SOCK_STREAM, 0) or fail(1, "$address: $!");
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
    remove_left_over($1) if $address =~ m{^unix:(.+)};
    bind($socket, $packed) or fail(1, "$address: $!");
    push @unix_paths, $1 if $address =~ m{^unix:(.+)};
    listen($socket, $BACKLOG) or fail(1, "$address: $!");
    $_[1] = $socket;
}

sub pack_address {
    my ($address) = @_;
    return (AF_UNIX, pack_sockaddr_un($1)) if $address =~ m{^unix:(/.+)$};
    my ($ipv6, $ipv4, $port) = $address =~ /^(?:\[([0-9a-fA-F:.%\w]+)\]|([0-9.]+)):(\d+)$/
        or fail(2, "$address: is neither IPV4:PORT, [IPV6]:PORT nor unix:/PATH");
    fail(2, "$address: a port is 1 to 65535") unless $port > 0 && $port < 65_536;
    my ($error, $found) =
        getaddrinfo($ipv6 // $ipv4, $port, { flags => AI_NUMERICHOST | AI_PASSIVE, socktype => SOCK_STREAM });
    fail(2, "$address: $error") if $error;
    return ($found->{family}, $found->{addr});
}

# A socket's file stays when its process is killed; one that is in use is left for bind() to refuse.
sub remove_left_over {
    my ($path) = @_;
    return unless -S $path;
    socket(my $probe, AF_UNIX, SOCK_STREAM, 0) or return;
    unlink $path unless connect($probe, pack_sockaddr_un($path));
}

sub start_generation {
    my $number = $newest + 1;
    my $process = fork;
    if (!defined $process) { note("can't start generation $number: $!"); alarm $RESTART_SECONDS; return }
    run_program() if $process == 0;
    $newest = $number;
    $generation{$process} = $number;
    note("generation $number is process $process");
}

# In the new process.
sub run_program {
    # signals of the terminal come through the supervisor alone
    setpgrp(0, 0);
    # first out of the way of 3, 4, ..., where they belong
    my @moved = map { fcntl($_->[1], F_DUPFD, 3 + @sockets) or POSIX::_exit(126) } @sockets;
    POSIX::dup2($moved[$_] + 0, 3 + $_) for 0 .. $#moved;
    POSIX::close($_ + 0) for @moved;
    @ENV{qw(LISTEN_PID LISTEN_FDS LISTEN_FDNAMES)} = ($$, scalar @sockets, join ':', map { $_->[0] } @sockets);
    $SIG{$_} = 'DEFAULT' for @ENDING, qw(HUP CHLD ALRM);
    sigprocmask(SIG_UNBLOCK, $signals);
    no warnings 'exec';
    exec { $program[0] } @program;
    note("$program[0]: $!");
    POSIX::_exit($!{ENOENT} ? 127 : 126);
}

sub handle {
    my ($name) = @_;
    delete $caught{$name};
    if ($name eq 'CHLD') { reap() }
    elsif ($name eq 'ALRM') { start_generation() unless $stopping || serving() }
    elsif ($name eq 'HUP') { start_generation() unless $stopping }
    else {
        $stopping = 1;
        note("SIG$name for " . (join(', ', map { "process $_" } sort keys %generation) || 'no process'));
        kill $name, keys %generation;
    }
}

sub reap {
    while ((my $process = waitpid(-1, WNOHANG)) > 0) {
        my $status = $?;
        my $number = delete $generation{$process} // next;
        ended($number, $status & 127 ? 128 + ($status & 127) : $status >> 8);
    }
}

sub ended {
    my ($number, $code) = @_;
    $exit_code = $stopping ? $code : 0;
    my $how = "generation $number ended with exit code $code";
    return note($how) if $stopping;
    fail($code, $how) if $number == 1 && $newest == 1 && $FOR_GOOD{$code};
    my $left = serving();
    # also to look again at one that was just asked to end
    alarm $RESTART_SECONDS;
    if (!defined $left) { note("$how: the next one starts in $RESTART_SECONDS s") }
    elsif ($number > $left) { note("$how: generation $left stays") }
    else { note("$how: generation $left runs") }
}

# The newest generation that has not closed the sockets: one that drains can't take the place of one that died.
sub serving {
    my ($left) = sort { $b <=> $a } map { $generation{$_} } grep { has_sockets($_) } keys %generation;
    return $left;
}

sub has_sockets {
    my ($process) = @_;
    # where that can't be seen
    opendir(my $folder, "/proc/$process/fd") or return kill 0, $process;
    my %passed = map { 'socket:[' . (stat $_->[1])[1] . ']' => 1 } @sockets;
    return grep { $passed{ readlink("/proc/$process/fd/$_") // '' } } readdir $folder;
}
