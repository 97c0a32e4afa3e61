// PHP that does what whoever asks for the page wants.

private rule is_php {
    strings:
        $long = "<?php" nocase
        $short = "<?="
        $bare = /<\?[ \t\r\n]/
    condition:
        filesize < 2MB and any of them
}

rule php_runs_what_is_asked {
    meta:
        description = "PHP that runs text from a request as a command or as code"
        score = 90
        attack = "T1505.003"
        picket_respond = "quarantine"
    strings:
        $direct = /\b(system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec|assert|eval|create_function)[ \t]*\([ \t]*@?[ \t]*\$_(GET|POST|REQUEST|COOKIE|SERVER)[ \t]*\[/ nocase
        $decoded = /\b(system|exec|shell_exec|passthru|popen|assert|eval)[ \t]*\([ \t]*(base64_decode|hex2bin|str_rot13|strrev|urldecode|gzinflate)[ \t]*\([ \t]*@?\$_(GET|POST|REQUEST|COOKIE|SERVER)[ \t]*\[/ nocase
        $quoted = /`[^`\r\n]{0,80}\$_(GET|POST|REQUEST|COOKIE)[ \t]*\[/
        $body = /\b(system|shell_exec|passthru|assert|eval)[ \t]*\([ \t]*@?(base64_decode[ \t]*\([ \t]*)?file_get_contents[ \t]*\([ \t]*["']php:\/\/input/ nocase
    condition:
        is_php and any of them
}

rule php_calls_what_is_asked {
    meta:
        description = "PHP that calls a function whose name comes in a request"
        score = 85
        attack = "T1505.003"
        picket_respond = "quarantine"
    strings:
        $call = /\$_(GET|POST|REQUEST|COOKIE)[ \t]*\[[^\]\r\n]{1,40}\][ \t]*\([ \t]*@?\$_(GET|POST|REQUEST|COOKIE)/
        $array = /\b(array_map|array_filter|usort|call_user_func|call_user_func_array|register_shutdown_function)[ \t]*\([ \t]*@?\$_(GET|POST|REQUEST|COOKIE)[ \t]*\[/ nocase
    condition:
        is_php and any of them
}

rule php_runs_packed_text {
    meta:
        description = "PHP whose code is packed into text that it unpacks and runs"
        score = 75
        attack = "T1027"
    strings:
        $nested = /\b(eval|assert)[ \t]*\([ \t]*@?(gzinflate|gzuncompress|gzdecode|str_rot13|strrev)[ \t]*\([ \t]*@?(base64_decode|str_rot13|strrev|hex2bin)[ \t]*\(/ nocase
        $plain = /\b(eval|assert)[ \t]*\([ \t]*@?base64_decode[ \t]*\([ \t]*["'][A-Za-z0-9+\/=]{60}/ nocase
    condition:
        is_php and any of them
}

rule php_inside_an_image {
    meta:
        description = "a file that begins as an image and holds PHP that takes a request"
        score = 85
        attack = "T1036.008"
        picket_respond = "quarantine"
    strings:
        $open = "<?php" nocase
        $short = "<?="
        $request = /\$_(GET|POST|REQUEST|COOKIE|FILES)[ \t]*\[/
        $run = /\b(eval|assert|system|passthru|shell_exec)[ \t]*\(/ nocase
    condition:
        filesize < 10MB
        and (uint32be(0) == 0x47494638 or uint32be(0) == 0x89504e47 or uint16be(0) == 0xffd8)
        and ($open or $short) and ($request or $run)
}
