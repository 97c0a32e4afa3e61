// Shells that call home.

rule shell_over_a_device {
    meta:
        description = "a shell whose input and output are a connection that bash itself opens"
        score = 85
        attack = "T1059.004"
    strings:
        $interactive = /\b(ba)?sh[ \t]+-i[ \t]*[>&0-9 ]{1,8}[ \t]*\/dev\/(tcp|udp)\/[0-9a-zA-Z$.{]/
        $exec = /\bexec[ \t]+[0-9]{1,3}<>[ \t]*\/dev\/tcp\/[0-9a-zA-Z$.{][^\r\n]{1,80}[\r\n;]{1,3}[^\r\n]{0,80}<&[0-9]/
    condition:
        filesize < 500KB and any of them
}

rule shell_over_netcat {
    meta:
        description = "a shell on a connection of netcat, directly or through a named pipe"
        score = 80
        attack = "T1059.004"
    strings:
        $direct = /\b(nc|ncat|netcat)[ \t]+(-[a-z]+[ \t]+)*-[a-z]*e[ \t]+\/bin\/(ba|da)?sh[ \t]+[0-9a-zA-Z$.]/
        $after = /\b(nc|ncat|netcat)[ \t]+[0-9a-zA-Z$.-]{4,60}[ \t]+[0-9$][0-9A-Za-z_]{0,9}[ \t]+-[a-z]*e[ \t]+\/bin\/(ba|da)?sh/
        $pipe = /mkfifo[ \t]+\/[^\s;|]{2,40}[^\r\n]{0,60}\/bin\/(ba|da)?sh[ \t]+-i[^\r\n]{0,40}\|[ \t]*(nc|ncat|netcat|openssl[ \t]+s_client)[ \t]/
    condition:
        filesize < 500KB and any of them
}

rule shell_over_python {
    meta:
        description = "Python that gives a shell to a connection that it opens"
        score = 85
        attack = "T1059.006"
    strings:
        $connect = /\.connect\([ \t]*\([ \t]*["'][0-9A-Za-z.:-]{4,60}["'][ \t]*,[ \t]*[0-9]{2,5}[ \t]*\)/
        $copy = /os\.dup2\([ \t]*[a-z_]{1,12}\.fileno\(\)[ \t]*,[ \t]*[012][ \t]*\)/
        $terminal = /pty\.spawn\([ \t]*\[?["']([a-z\/]{0,12}\/)?(ba|da)?sh["']/
        $call = /subprocess\.(call|Popen|run)\([ \t]*\[[ \t]*["']\/bin\/(ba|da)?sh["'][ \t]*,[ \t]*["']-i["']/
    condition:
        filesize < 500KB and $connect and $copy and ($terminal or $call)
}

rule shell_over_perl_ruby_php {
    meta:
        description = "a line of Perl, Ruby or PHP that gives a shell to a connection"
        score = 80
        attack = "T1059"
    strings:
        $perl = /socket\(S,PF_INET,SOCK_STREAM[^\r\n]{1,120}connect\(S,sockaddr_in[^\r\n]{1,200}exec[ \t\{\("']{1,4}\/bin\/(ba|da)?sh/
        $ruby = /TCPSocket\.(new|open)\([^\r\n]{1,80}\)(\.to_i)?[^\r\n]{0,40}exec[ \t]+sprintf\(["']\/bin\/(ba|da)?sh[ \t]+-i/
        $php = /fsockopen\([ \t]*["']?[0-9A-Za-z$.]{2,60}["']?[ \t]*,[^\r\n]{1,40}\)[ \t]*;[^\r\n]{0,60}(exec|shell_exec|system|passthru|popen)\([ \t]*["']\/bin\/(ba|da)?sh[ \t]+-i/
    condition:
        filesize < 500KB and any of them
}
