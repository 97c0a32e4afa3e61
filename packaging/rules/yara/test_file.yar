// The file by which the makers of scanners agreed to try whether a scanner works.

rule eicar_test_file {
    meta:
        description = "the EICAR test file: harmless, and there to be found"
        score = 90
        attack = "T1204.002"
        picket_respond = "quarantine"
    strings:
        // In hexadecimal, so that no scanner takes this file for one.
        $text = { 58 35 4F 21 50 25 40 41 50 5B 34 5C 50 5A 58 35 34 28 50 5E 29 37 43 43 29 37 7D 24 45 49 43 41 52 }
    condition:
        filesize < 256 and $text at 0
}
