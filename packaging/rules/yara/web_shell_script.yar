// Python and Perl behind a web server that do what whoever asks wants.

rule python_runs_what_is_asked {
    meta:
        description = "Python that runs a parameter of a web request as a command or as code"
        score = 80
        attack = "T1505.003"
    strings:
        $flask = /\b(os\.popen|os\.system|subprocess\.(Popen|run|call|check_output|getoutput)|eval|exec)[ \t]*\([ \t]*(request\.(args|form|values|json|cookies)(\.get[ \t]*\(|\[)|request\.(data|get_data[ \t]*\())/
        $form = /\b(os\.popen|os\.system|subprocess\.(Popen|run|call|check_output|getoutput)|eval|exec)[ \t]*\([ \t]*[A-Za-z_]{1,20}\.(getvalue|getfirst)[ \t]*\(/
        $import = "import"
    condition:
        filesize < 500KB and $import and ($flask or $form)
}

rule perl_runs_what_is_asked {
    meta:
        description = "Perl that runs a parameter of a web request as a command"
        score = 80
        attack = "T1505.003"
    strings:
        $cgi = /\buse[ \t]+CGI\b/
        $run = /\b(system|exec|eval|qx)[ \t]*[\(\{]?[ \t]*(\$[a-z_]{1,20}->)?param[ \t]*\(/
        $pipe = /\bopen[ \t]*\([^;\r\n]{1,60},[ \t]*["']?(\$[a-z_]{1,20}->)?param[ \t]*\([^;\r\n]{1,60}\|/
    condition:
        filesize < 500KB and $cgi and ($run or $pipe)
}
