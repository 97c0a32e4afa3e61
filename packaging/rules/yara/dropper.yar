// What brings in more, and hides how it came.

rule script_fetches_and_runs {
    meta:
        description = "a script that fetches a program to a place that everybody may write to, and runs it"
        score = 70
        attack = "T1105"
    strings:
        $interpreter = "#!"
        $fetch = /\b(curl|wget)\b[^\r\n]{1,200}(-o|-O|--output|>)[ \t]*["']?(\/tmp\/|\/var\/tmp\/|\/dev\/shm\/)[^\r\n]/
        $enter = /\bcd[ \t]+(\/tmp|\/var\/tmp|\/dev\/shm)[^\r\n]{0,80}(;|&&|\|\|)[^\r\n]{0,120}\b(curl|wget)\b/
        $mode = /\bchmod[ \t]+(\+x|a\+x|u\+x|0?7[0-7]{2})[ \t]+[^\r\n]/
        $detach = /\b(nohup|setsid)[ \t]+[^\r\n]{0,20}(\/tmp\/|\/var\/tmp\/|\/dev\/shm\/|\.\/)/
        $history = /\b(history[ \t]+-c|unset[ \t]+HISTFILE|HISTFILE=\/dev\/null|HISTSIZE=0)/
        $itself = /\brm[ \t]+-r?f[ \t]+["']?\$\{?0/
        $guards = /\b(setenforce[ \t]+0|ufw[ \t]+disable|iptables[ \t]+-F|chattr[ \t]+-i|systemctl[ \t]+(stop|disable)[ \t]+(apparmor|auditd|firewalld))/
    condition:
        filesize < 200KB and $interpreter at 0 and ($fetch or $enter) and $mode
        and 1 of ($detach, $history, $itself, $guards)
}

rule script_runs_decoded_text {
    meta:
        description = "a script that is little but a long text that it decodes and gives to a shell"
        score = 65
        attack = "T1027"
    strings:
        $interpreter = "#!"
        $shell = /[A-Za-z0-9+\/=]{120}["']?[ \t]*(\|[ \t]*)(base64[ \t]+(-d|--decode|-D)|openssl[ \t]+(enc[ \t]+)?(-d[ \t]+)?-?base64[ \t]+-d)[^\r\n|]{0,20}\|[ \t]*(ba|da)?sh\b/
        $python = /exec\([ \t]*(__import__\(["'](base64|zlib|codecs|marshal)["']\)|base64|zlib|codecs|marshal)\.(b64decode|decompress|decode|loads)\([^\r\n]{0,60}["'][A-Za-z0-9+\/=]{120}/
    condition:
        filesize < 2MB and (($interpreter at 0 and $shell) or $python)
}

rule packed_program_in_a_shared_place {
    meta:
        description = "a packed program in a folder that everybody may write to"
        score = 65
        attack = "T1027.002"
    strings:
        $mark = "UPX!"
        $words = "$Info: This file is packed with the UPX"
    condition:
        uint32(0) == 0x464c457f and ($mark in (0..1024) or $words or $mark in (filesize - 512..filesize))
        and (filepath startswith "/tmp/" or filepath startswith "/var/tmp/" or filepath startswith "/dev/shm/"
            or filepath startswith "/run/user/")
}

rule program_with_another_end {
    meta:
        description = "a program that is named as if it were a picture, a text or a log"
        score = 60
        attack = "T1036.008"
    condition:
        uint32(0) == 0x464c457f
        and (extension == ".jpg" or extension == ".jpeg" or extension == ".png" or extension == ".gif" or extension == ".ico"
            or extension == ".txt" or extension == ".log" or extension == ".pdf" or extension == ".html" or extension == ".css")
}
