// What is left behind once files are taken.

rule ransom_note {
    meta:
        description = "a text that says that files were encrypted and asks for money"
        score = 75
        attack = "T1486"
    strings:
        $taken = /\b(all|your|important|these)( of)?( your)?( important)? (files|data|documents|databases|servers|network)[a-z ,]{0,40} (have been|has been|are|were|was|is) (now )?(encrypted|locked|stolen|exfiltrated)/ nocase
        $back = /\b(decryptor|decryption (key|tool)|private key|recover your (files|data)|restore your (files|data)|decrypt (your|all))/ nocase
        $money = /\b(bitcoins?|btc|monero|xmr)\b/ nocase
        $hidden = /\b[a-z2-7]{16,56}\.onion\b/ nocase
        $browser = "tor browser" nocase
        $warning = /\bdo not (rename|modify|try to decrypt|contact (the )?police|use third.party|shut ?down)/ nocase
        $deadline = /\b(within|after|in) [0-9]{1,3} (hours|days)\b/ nocase
    condition:
        filesize < 64KB and $taken and $back and 2 of ($money, $hidden, $browser, $warning, $deadline)
}
