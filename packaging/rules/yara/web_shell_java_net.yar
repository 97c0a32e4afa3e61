// Pages of Java and .NET servers that do what whoever asks for them wants.

rule jsp_runs_what_is_asked {
    meta:
        description = "a JSP page that runs a parameter of the request as a command"
        score = 85
        attack = "T1505.003"
        picket_respond = "quarantine"
    strings:
        $page = /<%[@!=#]?[ \t\r\nA-Za-z]/
        $direct = /\.exec[ \t]*\([ \t]*request\.getParameter[ \t]*\(/
        $runtime = "getRuntime()"
        $builder = "new ProcessBuilder"
        $parameter = "request.getParameter("
        $shell = /"(\/bin\/(ba)?sh|cmd(\.exe)?)"[ \t]*,[ \t]*"(-c|\/c)"/
        $output = "getInputStream()"
    condition:
        filesize < 500KB and $page
        and ($direct or (($runtime or $builder) and $parameter and $shell and $output))
}

rule jsp_loads_what_is_asked {
    meta:
        description = "a JSP page that makes a class out of what a request carries"
        score = 90
        attack = "T1505.003"
        picket_respond = "quarantine"
    strings:
        $page = /<%[@!=#]?[ \t\r\nA-Za-z]/
        $define = "defineClass"
        $loader = "extends ClassLoader"
        $parameter = "request.getParameter("
        $reader = "request.getReader()"
        $cipher = "Cipher.getInstance("
        $base64 = /[Bb]ase64[.A-Za-z()]{0,40}\.?decode/
    condition:
        filesize < 500KB and $page and $define and $loader
        and ($parameter or $reader) and ($cipher or $base64)
}

rule asp_runs_what_is_asked {
    meta:
        description = "an ASP or ASP.NET page that runs text from a request as code"
        score = 90
        attack = "T1505.003"
        picket_respond = "quarantine"
    strings:
        $page = /<%[@!=#]?[ \t\r\nA-Za-z]/
        $net = /\beval[ \t]*\([ \t]*Request(\.Item|\.Form|\.QueryString|\.Params)?[ \t]*[\[(]/ nocase
        $classic = /\b(execute|executeglobal|eval)[ \t]*\(?[ \t]*request(\.form|\.querystring)?[ \t]*\(/ nocase
        $load = /Assembly\.Load[ \t]*\([ \t]*(Convert\.FromBase64String[ \t]*\([ \t]*)?Request\b/ nocase
    condition:
        filesize < 500KB and $page and any of ($net, $classic, $load)
}

rule aspx_starts_a_shell {
    meta:
        description = "an ASP.NET page that starts a shell with text from a request"
        score = 80
        attack = "T1505.003"
    strings:
        $page = "<%@" nocase
        $start = "ProcessStartInfo"
        $shell = /["'](cmd|cmd\.exe|powershell(\.exe)?|\/bin\/(ba)?sh)["']/ nocase
        $redirect = "RedirectStandardOutput"
        $request = /\bRequest(\.Form|\.QueryString|\.Params)?[ \t]*[\[(]|\.Text\b/
    condition:
        filesize < 500KB and $page at 0 and all of them
}
