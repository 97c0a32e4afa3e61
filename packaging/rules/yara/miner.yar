// Programs and settings that mine for somebody else.

rule miner_program {
    meta:
        description = "a program that mines and speaks to a pool"
        score = 75
        attack = "T1496.001"
    strings:
        $scheme_tcp = "stratum+tcp://"
        $scheme_tls = "stratum+ssl://"
        $subscribe = "mining.subscribe"
        $submit = "mining.submit"
        $login = "\"method\":\"login\""
        $donate = "donate-level"
        $algorithm = "randomx" nocase
        $old_algorithm = "cryptonight" nocase
        $pages = "1gb-pages"
        $registers = "msr" fullword
    condition:
        uint32(0) == 0x464c457f and filesize < 60MB and 4 of them
}

rule miner_settings {
    meta:
        description = "settings of a miner: a pool, and a wallet that is paid"
        score = 70
        attack = "T1496.001"
    strings:
        $pools = /"pools?"[ \t]*:/
        $stratum = /stratum\+(tcp|ssl|tls):\/\//
        $wallet = /"(user|wallet)"[ \t]*:[ \t]*"[48][1-9A-HJ-NP-Za-km-z]{94}/
        $donate = /"donate-level"[ \t]*:/
        $pages = /"(huge-pages|1gb-pages|randomx)"[ \t]*:/
    condition:
        filesize < 64KB and ($wallet or $stratum) and 3 of them
}

rule miner_start_script {
    meta:
        description = "a script that starts a miner with a pool and a wallet"
        score = 75
        attack = "T1496.001"
    strings:
        $interpreter = "#!"
        $pool = /(-o|--url)[ =]["']?(stratum\+(tcp|ssl):\/\/|[a-z0-9.-]{4,60}:[0-9]{2,5})/
        $wallet = /(-u|--user)[ =]["']?[48][1-9A-HJ-NP-Za-km-z]{94}/
        $rivals = /p?kill(all)?[ \t]+[^\r\n]{0,60}(xmr|minerd|kinsing|kdevtmpfsi)/
        $scheme = "stratum+"
    condition:
        filesize < 200KB and $interpreter at 0 and (($pool and $wallet) or ($rivals and $scheme))
}
