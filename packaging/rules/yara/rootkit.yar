// What hides other things.

rule preloaded_library_that_hides {
    meta:
        description = "a library that is preloaded into every program and takes entries out of folders"
        score = 85
        attack = "T1574.006"
        picket_respond = "quarantine"
    strings:
        $preload = "ld.so.preload"
        $folders = /\x00readdir(64)?\x00/
        $next = /\x00dlsym\x00/
        $stat = /\x00(__l?xstat(64)?|l?stat(64)?)\x00/
        $open = /\x00(open|open64|fopen|fopen64)\x00/
        $run = /\x00(execve|accept|pam_authenticate|pcap_loop|getpwnam_r)\x00/
    condition:
        uint32(0) == 0x464c457f and uint16(16) == 3 and filesize < 5MB
        and $preload and $folders and $next and 1 of ($stat, $open) and ($run or $open)
}

rule kernel_module_that_hides {
    meta:
        description = "a kernel module that changes system calls and gives or hides what it should not"
        score = 80
        attack = "T1014"
    strings:
        $module = "vermagic="
        $table = "sys_call_table"
        $lookup = "kallsyms_lookup_name"
        $hook = "ftrace_set_filter_ip"
        $folders = /getdents(64)?/
        $sockets = /tcp[46]_seq_show/
        $rights = "commit_creds"
        $fresh = "prepare_creds"
    condition:
        uint32(0) == 0x464c457f and uint16(16) == 1 and filesize < 5MB and $module
        and ($table or $hook or $lookup) and ($folders or $sockets) and ($rights or $fresh)
}
