# Written by python/completion/generate.py and shtab from the command's options: run `make man`.


# Parse current commandline:
# - _shtab_smtptls_cmdpath=(sub)command path seen so far
# - _shtab_smtptls_npos=number of positional arguments given after it
# - options are skipped based on _shtab_smtptls_opts_with_value & _shtab_smtptls_commands lists
function _shtab_smtptls_scan
  set -g _shtab_smtptls_cmdpath ''
  set -g _shtab_smtptls_npos 0
  set -l tokens (commandline -opc)
  set -e tokens[1]
  set -l expect_value 0
  for t in $tokens
    if test $expect_value -eq 1
      set expect_value 0
      continue
    end
    switch "$t"
      case '--*=*'
        continue
      case '-*'
        if contains -- $t $_shtab_smtptls_opts_with_value
          set expect_value 1
        end
        continue
      case '*'
        if test $_shtab_smtptls_npos -eq 0
          set -l candidate $t
          if test -n "$_shtab_smtptls_cmdpath"
            set candidate "$_shtab_smtptls_cmdpath $t"
          end
          if contains -- $candidate $_shtab_smtptls_commands
            set -g _shtab_smtptls_cmdpath $candidate
            continue
          end
        end
        set -g _shtab_smtptls_npos (math $_shtab_smtptls_npos + 1)
    end
  end
end

# Condition helper: true if the current (sub)command path equals the given one.
function _shtab_smtptls_using
  _shtab_smtptls_scan
  test "$_shtab_smtptls_cmdpath" = "$argv"
end

set -g _shtab_smtptls_commands check connect send tlsa 'tlsa gen' 'tlsa show' 'tlsa match' sts 'sts parse' 'sts match' policy tickets 'tickets make' 'tickets rotate' 'tickets show'
set -g _shtab_smtptls_opts_with_value --address-dnssec --ca --cert --chain --color --connect-timeout --crl --crlf --dnssec --fingerprint --from --helo --host --key --key-fingerprint --level --matching --min-days --min-tls --mx --mx-dnssec --name --next-hop --password-file --port --resolve --selector --sni --sts --subject --timeout --tlsa --tlsa-base --tlsa-dnssec --to --txt --usage --user

complete -c smtptls -e
complete -c smtptls -f

complete -c smtptls -n _shtab_smtptls_using -s h -l help -d 'show this help message and exit'
complete -c smtptls -n _shtab_smtptls_using -l version -d 'show program'"'"'s version number and exit'
complete -c smtptls -n '_shtab_smtptls_using; and test $_shtab_smtptls_npos -eq 0' -a check -d 'probe a server, and tell what a sender at each level would do, and why'
complete -c smtptls -n '_shtab_smtptls_using check' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using check' -l level -xka "auto none may encrypt fingerprint verify secure dane dane-only sts" -d 'the level that the exit code is about: none, may, encrypt, fingerprint, verify, secure, dane, dane-only, sts; or auto, the default, which is what an MTA does: dane, else sts, else may, by the facts that are given'
complete -c smtptls -n '_shtab_smtptls_using check' -l mx -x -d 'an MX host of the domain'
complete -c smtptls -n '_shtab_smtptls_using check' -l first -d 'only the first MX host, not all'
complete -c smtptls -n '_shtab_smtptls_using check' -l tlsa -x -d 'a TLSA record of the host: "3 1 1 0f1e..."'
complete -c smtptls -n '_shtab_smtptls_using check' -l tlsa-base -x -d 'whose TLSA records they are; default: the host'"'"'s'
complete -c smtptls -n '_shtab_smtptls_using check' -l dnssec -xka "secure insecure bogus error" -d 'how far the DNS can be believed on MX, addresses and TLSA; without --tlsa, that there are none'
complete -c smtptls -n '_shtab_smtptls_using check' -l mx-dnssec -xka "none secure insecure bogus error" -d 'the same of the MX records alone'
complete -c smtptls -n '_shtab_smtptls_using check' -l address-dnssec -xka "none secure insecure bogus error" -d 'the same of the address records alone'
complete -c smtptls -n '_shtab_smtptls_using check' -l tlsa-dnssec -xka "none secure insecure bogus error" -d 'the same of the TLSA records alone'
complete -c smtptls -n '_shtab_smtptls_using check' -l sts -xka "(__fish_complete_path (commandline -ct))" -d 'the text of the domain'"'"'s MTA-STS policy, or off: it has none'
complete -c smtptls -n '_shtab_smtptls_using check' -l name -x -d 'a name that the certificate may be for, at verify and secure; .example.com is any host below'
complete -c smtptls -n '_shtab_smtptls_using check' -l next-hop -x -d 'the domain that mail is for; default: the target'
complete -c smtptls -n '_shtab_smtptls_using check' -l sni -x -d 'the name to send in the TLS handshake, or none'
complete -c smtptls -n '_shtab_smtptls_using check' -l fingerprint -x -d 'of a certificate, for level fingerprint'
complete -c smtptls -n '_shtab_smtptls_using check' -l key-fingerprint -x -d 'the same of a public key'
complete -c smtptls -n '_shtab_smtptls_using check' -l ca -xka "(__fish_complete_path (commandline -ct))" -d 'a PEM file or directory of authorities to trust; system, the default; none'
complete -c smtptls -n '_shtab_smtptls_using check' -l crl -xka "(__fish_complete_path (commandline -ct))" -d 'certificate revocation lists'
complete -c smtptls -n '_shtab_smtptls_using check' -l cert -xka "(__fish_complete_path (commandline -ct))" -d 'our own certificate chain, for a server that asks for one'
complete -c smtptls -n '_shtab_smtptls_using check' -l key -xka "(__fish_complete_path (commandline -ct))" -d 'its private key; default: in the same file'
complete -c smtptls -n '_shtab_smtptls_using check' -l helo -x -d 'our name in EHLO; default: the system'"'"'s'
complete -c smtptls -n '_shtab_smtptls_using check' -l port -x -d 'where TARGET has none; default: 25'
complete -c smtptls -n '_shtab_smtptls_using check' -l resolve -x -d 'connect there for this host and port; an IPv6 address in brackets'
complete -c smtptls -n '_shtab_smtptls_using check' -s 4 -d 'IPv4 only'
complete -c smtptls -n '_shtab_smtptls_using check' -s 6 -d 'IPv6 only'
complete -c smtptls -n '_shtab_smtptls_using check' -l connect-timeout -x -d 'default: 10'
complete -c smtptls -n '_shtab_smtptls_using check' -l timeout -x -d 'for a session; default: 30'
complete -c smtptls -n '_shtab_smtptls_using check' -l lmtp -d 'speak LMTP'
complete -c smtptls -n '_shtab_smtptls_using check' -l min-days -x -d 'warn when the certificate ends in less; default: 14'
complete -c smtptls -n '_shtab_smtptls_using check' -l require-pq -d 'fail without a post-quantum key exchange'
complete -c smtptls -n '_shtab_smtptls_using check' -l min-tls -xka "1.2 1.3" -d 'fail below this version of TLS'
complete -c smtptls -n '_shtab_smtptls_using check' -l warnings-as-errors -d 'exit code 4 where there are only warnings'
complete -c smtptls -n '_shtab_smtptls_using check' -l json -d 'one document, for one target'
complete -c smtptls -n '_shtab_smtptls_using check' -l jsonl -d 'a line of JSON for each target'
complete -c smtptls -n '_shtab_smtptls_using check' -l pem -d 'the certificates that were shown'
complete -c smtptls -n '_shtab_smtptls_using check' -s q -l quiet -d 'the exit code alone'
complete -c smtptls -n '_shtab_smtptls_using check' -s v -l verbose -d 'also what was said in plaintext'
complete -c smtptls -n '_shtab_smtptls_using check' -l color -xka "auto always never" -d 'colour; auto is on a terminal, unless NO_COLOR is set'
complete -c smtptls -n '_shtab_smtptls_using check; and test $_shtab_smtptls_npos -ge 0' -ka "(__fish_print_hostnames)" -d TARGET
complete -c smtptls -n '_shtab_smtptls_using; and test $_shtab_smtptls_npos -eq 0' -a connect -d 'talk to a server inside TLS'
complete -c smtptls -n '_shtab_smtptls_using connect' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using connect' -l level -xka "encrypt fingerprint verify secure dane dane-only sts" -d 'what is demanded of the server: encrypt, fingerprint, verify, secure, dane, dane-only, sts; default: verify'
complete -c smtptls -n '_shtab_smtptls_using connect' -l insecure -d 'go on with a server that does not meet the level, with a warning'
complete -c smtptls -n '_shtab_smtptls_using connect' -l crlf -xka "auto always never" -d 'make CRLF of LF from stdin; auto: where stdin is a terminal'
complete -c smtptls -n '_shtab_smtptls_using connect' -s v -l verbose -d 'on stderr what was said before, and TLS'
complete -c smtptls -n '_shtab_smtptls_using connect' -l tlsa -x -d 'a TLSA record of the host: "3 1 1 0f1e..."'
complete -c smtptls -n '_shtab_smtptls_using connect' -l tlsa-base -x -d 'whose TLSA records they are; default: the host'"'"'s'
complete -c smtptls -n '_shtab_smtptls_using connect' -l dnssec -xka "secure insecure bogus error" -d 'how far the DNS can be believed on MX, addresses and TLSA; without --tlsa, that there are none'
complete -c smtptls -n '_shtab_smtptls_using connect' -l mx-dnssec -xka "none secure insecure bogus error" -d 'the same of the MX records alone'
complete -c smtptls -n '_shtab_smtptls_using connect' -l address-dnssec -xka "none secure insecure bogus error" -d 'the same of the address records alone'
complete -c smtptls -n '_shtab_smtptls_using connect' -l tlsa-dnssec -xka "none secure insecure bogus error" -d 'the same of the TLSA records alone'
complete -c smtptls -n '_shtab_smtptls_using connect' -l sts -xka "(__fish_complete_path (commandline -ct))" -d 'the text of the domain'"'"'s MTA-STS policy, or off: it has none'
complete -c smtptls -n '_shtab_smtptls_using connect' -l name -x -d 'a name that the certificate may be for, at verify and secure; .example.com is any host below'
complete -c smtptls -n '_shtab_smtptls_using connect' -l next-hop -x -d 'the domain that mail is for; default: the target'
complete -c smtptls -n '_shtab_smtptls_using connect' -l sni -x -d 'the name to send in the TLS handshake, or none'
complete -c smtptls -n '_shtab_smtptls_using connect' -l fingerprint -x -d 'of a certificate, for level fingerprint'
complete -c smtptls -n '_shtab_smtptls_using connect' -l key-fingerprint -x -d 'the same of a public key'
complete -c smtptls -n '_shtab_smtptls_using connect' -l ca -xka "(__fish_complete_path (commandline -ct))" -d 'a PEM file or directory of authorities to trust; system, the default; none'
complete -c smtptls -n '_shtab_smtptls_using connect' -l crl -xka "(__fish_complete_path (commandline -ct))" -d 'certificate revocation lists'
complete -c smtptls -n '_shtab_smtptls_using connect' -l cert -xka "(__fish_complete_path (commandline -ct))" -d 'our own certificate chain, for a server that asks for one'
complete -c smtptls -n '_shtab_smtptls_using connect' -l key -xka "(__fish_complete_path (commandline -ct))" -d 'its private key; default: in the same file'
complete -c smtptls -n '_shtab_smtptls_using connect' -l helo -x -d 'our name in EHLO; default: the system'"'"'s'
complete -c smtptls -n '_shtab_smtptls_using connect' -l port -x -d 'where TARGET has none; default: 25'
complete -c smtptls -n '_shtab_smtptls_using connect' -l resolve -x -d 'connect there for this host and port; an IPv6 address in brackets'
complete -c smtptls -n '_shtab_smtptls_using connect' -s 4 -d 'IPv4 only'
complete -c smtptls -n '_shtab_smtptls_using connect' -s 6 -d 'IPv6 only'
complete -c smtptls -n '_shtab_smtptls_using connect' -l connect-timeout -x -d 'default: 10'
complete -c smtptls -n '_shtab_smtptls_using connect' -l timeout -x -d 'for a session; default: 30'
complete -c smtptls -n '_shtab_smtptls_using connect' -l lmtp -d 'speak LMTP'
complete -c smtptls -n '_shtab_smtptls_using connect; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_print_hostnames)" -d 'HOST:PORT, [HOST], submission:HOST, submissions:HOST, ...'
complete -c smtptls -n '_shtab_smtptls_using; and test $_shtab_smtptls_npos -eq 0' -a send -d 'send one message, and tell how it went'
complete -c smtptls -n '_shtab_smtptls_using send' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using send' -l from -x -d 'of the envelope; '"'"''"'"' for a bounce'
complete -c smtptls -n '_shtab_smtptls_using send' -l to -x -d 'of the envelope'
complete -c smtptls -n '_shtab_smtptls_using send' -l subject -x -d 'of the test message'
complete -c smtptls -n '_shtab_smtptls_using send' -l level -xka "auto none may encrypt fingerprint verify secure dane dane-only sts" -d 'what is demanded of the server: auto, none, may, encrypt, fingerprint, verify, secure, dane, dane-only, sts; default: verify'
complete -c smtptls -n '_shtab_smtptls_using send' -l user -x -d 'the name to log in with'
complete -c smtptls -n '_shtab_smtptls_using send' -l password-file -xka "(__fish_complete_path (commandline -ct))" -d 'its first line is the password; - is stdin'
complete -c smtptls -n '_shtab_smtptls_using send' -l tlsa -x -d 'a TLSA record of the host: "3 1 1 0f1e..."'
complete -c smtptls -n '_shtab_smtptls_using send' -l tlsa-base -x -d 'whose TLSA records they are; default: the host'"'"'s'
complete -c smtptls -n '_shtab_smtptls_using send' -l dnssec -xka "secure insecure bogus error" -d 'how far the DNS can be believed on MX, addresses and TLSA; without --tlsa, that there are none'
complete -c smtptls -n '_shtab_smtptls_using send' -l mx-dnssec -xka "none secure insecure bogus error" -d 'the same of the MX records alone'
complete -c smtptls -n '_shtab_smtptls_using send' -l address-dnssec -xka "none secure insecure bogus error" -d 'the same of the address records alone'
complete -c smtptls -n '_shtab_smtptls_using send' -l tlsa-dnssec -xka "none secure insecure bogus error" -d 'the same of the TLSA records alone'
complete -c smtptls -n '_shtab_smtptls_using send' -l sts -xka "(__fish_complete_path (commandline -ct))" -d 'the text of the domain'"'"'s MTA-STS policy, or off: it has none'
complete -c smtptls -n '_shtab_smtptls_using send' -l name -x -d 'a name that the certificate may be for, at verify and secure; .example.com is any host below'
complete -c smtptls -n '_shtab_smtptls_using send' -l next-hop -x -d 'the domain that mail is for; default: the target'
complete -c smtptls -n '_shtab_smtptls_using send' -l sni -x -d 'the name to send in the TLS handshake, or none'
complete -c smtptls -n '_shtab_smtptls_using send' -l fingerprint -x -d 'of a certificate, for level fingerprint'
complete -c smtptls -n '_shtab_smtptls_using send' -l key-fingerprint -x -d 'the same of a public key'
complete -c smtptls -n '_shtab_smtptls_using send' -l ca -xka "(__fish_complete_path (commandline -ct))" -d 'a PEM file or directory of authorities to trust; system, the default; none'
complete -c smtptls -n '_shtab_smtptls_using send' -l crl -xka "(__fish_complete_path (commandline -ct))" -d 'certificate revocation lists'
complete -c smtptls -n '_shtab_smtptls_using send' -l cert -xka "(__fish_complete_path (commandline -ct))" -d 'our own certificate chain, for a server that asks for one'
complete -c smtptls -n '_shtab_smtptls_using send' -l key -xka "(__fish_complete_path (commandline -ct))" -d 'its private key; default: in the same file'
complete -c smtptls -n '_shtab_smtptls_using send' -l helo -x -d 'our name in EHLO; default: the system'"'"'s'
complete -c smtptls -n '_shtab_smtptls_using send' -l port -x -d 'where TARGET has none; default: 25'
complete -c smtptls -n '_shtab_smtptls_using send' -l resolve -x -d 'connect there for this host and port; an IPv6 address in brackets'
complete -c smtptls -n '_shtab_smtptls_using send' -s 4 -d 'IPv4 only'
complete -c smtptls -n '_shtab_smtptls_using send' -s 6 -d 'IPv6 only'
complete -c smtptls -n '_shtab_smtptls_using send' -l connect-timeout -x -d 'default: 10'
complete -c smtptls -n '_shtab_smtptls_using send' -l timeout -x -d 'for a session; default: 30'
complete -c smtptls -n '_shtab_smtptls_using send' -l lmtp -d 'speak LMTP'
complete -c smtptls -n '_shtab_smtptls_using send' -l color -xka "auto always never" -d 'colour; auto is on a terminal, unless NO_COLOR is set'
complete -c smtptls -n '_shtab_smtptls_using send; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_print_hostnames)" -d 'HOST:PORT, [HOST], submission:HOST, submissions:HOST, ...'
complete -c smtptls -n '_shtab_smtptls_using send; and test $_shtab_smtptls_npos -eq 1' -ka "(__fish_complete_path (commandline -ct))" -d 'the message with its header; - is stdin'
complete -c smtptls -n '_shtab_smtptls_using; and test $_shtab_smtptls_npos -eq 0' -a tlsa -d 'make, explain and compare TLSA records'
complete -c smtptls -n '_shtab_smtptls_using tlsa' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using tlsa; and test $_shtab_smtptls_npos -eq 0' -a gen -d 'make the record of a certificate'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l from -xka "(__fish_print_hostnames)" -d 'the certificate that this server shows'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l host -x -d 'the name of the server: prints the line of a zone file'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l usage -xka "2 3" -d '2: the last of the chain; 3, the default: the first'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l selector -xka "0 1" -d '0: the certificate; 1, the default: its public key'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l matching -xka "0 1 2" -d '0: all octets; 1, the default: their SHA-256; 2: SHA-512'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l ca -xka "(__fish_complete_path (commandline -ct))" -d 'a PEM file or directory of authorities to trust; system, the default; none'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l crl -xka "(__fish_complete_path (commandline -ct))" -d 'certificate revocation lists'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l cert -xka "(__fish_complete_path (commandline -ct))" -d 'our own certificate chain, for a server that asks for one'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l key -xka "(__fish_complete_path (commandline -ct))" -d 'its private key; default: in the same file'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l helo -x -d 'our name in EHLO; default: the system'"'"'s'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l port -x -d 'where TARGET has none; default: 25'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l resolve -x -d 'connect there for this host and port; an IPv6 address in brackets'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -s 4 -d 'IPv4 only'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -s 6 -d 'IPv6 only'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l connect-timeout -x -d 'default: 10'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l timeout -x -d 'for a session; default: 30'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen' -l lmtp -d 'speak LMTP'
complete -c smtptls -n '_shtab_smtptls_using tlsa gen; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_complete_path (commandline -ct))" -d 'a certificate chain, the server'"'"'s own first; - is stdin'
complete -c smtptls -n '_shtab_smtptls_using tlsa; and test $_shtab_smtptls_npos -eq 0' -a show -d 'say what records mean, and whether SMTP can use them'
complete -c smtptls -n '_shtab_smtptls_using tlsa show' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using tlsa show' -l color -xka "auto always never" -d 'colour; auto is on a terminal, unless NO_COLOR is set'
complete -c smtptls -n '_shtab_smtptls_using tlsa; and test $_shtab_smtptls_npos -eq 0' -a match -d 'compare records with a certificate chain'
complete -c smtptls -n '_shtab_smtptls_using tlsa match' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using tlsa match' -l host -x -d 'the name of the server, which DANE-TA compares'
complete -c smtptls -n '_shtab_smtptls_using tlsa match' -l next-hop -x -d 'the domain that mail is for, if its MX records are secure'
complete -c smtptls -n '_shtab_smtptls_using tlsa match' -l color -xka "auto always never" -d 'colour; auto is on a terminal, unless NO_COLOR is set'
complete -c smtptls -n '_shtab_smtptls_using tlsa match; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_complete_path (commandline -ct))" -d 'a certificate chain, the server'"'"'s own first; - is stdin'
complete -c smtptls -n '_shtab_smtptls_using; and test $_shtab_smtptls_npos -eq 0' -a sts -d 'read MTA-STS policies, and match hosts'
complete -c smtptls -n '_shtab_smtptls_using sts' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using sts; and test $_shtab_smtptls_npos -eq 0' -a parse -d 'read a policy as a sender would, and say what it means'
complete -c smtptls -n '_shtab_smtptls_using sts parse' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using sts parse' -l txt -x -d 'a TXT record of _mta-sts.DOMAIN'
complete -c smtptls -n '_shtab_smtptls_using sts parse' -l color -xka "auto always never" -d 'colour; auto is on a terminal, unless NO_COLOR is set'
complete -c smtptls -n '_shtab_smtptls_using sts parse; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_complete_path (commandline -ct))" -d 'the text of the policy; - is stdin'
complete -c smtptls -n '_shtab_smtptls_using sts; and test $_shtab_smtptls_npos -eq 0' -a match -d 'say whether a policy names hosts'
complete -c smtptls -n '_shtab_smtptls_using sts match' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using sts match' -l color -xka "auto always never" -d 'colour; auto is on a terminal, unless NO_COLOR is set'
complete -c smtptls -n '_shtab_smtptls_using sts match; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_complete_path (commandline -ct))" -d 'the text of the policy; - is stdin'
complete -c smtptls -n '_shtab_smtptls_using sts match; and test $_shtab_smtptls_npos -ge 1' -ka "(__fish_print_hostnames)" -d 'an MX host'
complete -c smtptls -n '_shtab_smtptls_using; and test $_shtab_smtptls_npos -eq 0' -a policy -d 'tell what senders would do with a host, by facts alone'
complete -c smtptls -n '_shtab_smtptls_using policy' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using policy' -l chain -xka "(__fish_complete_path (commandline -ct))" -d 'the certificates that it would show, its own first'
complete -c smtptls -n '_shtab_smtptls_using policy' -l no-starttls -d 'it would not offer STARTTLS'
complete -c smtptls -n '_shtab_smtptls_using policy' -l level -xka "auto none may encrypt fingerprint verify secure dane dane-only sts" -d 'the level that the exit code is about; default: auto'
complete -c smtptls -n '_shtab_smtptls_using policy' -l tlsa -x -d 'a TLSA record of the host: "3 1 1 0f1e..."'
complete -c smtptls -n '_shtab_smtptls_using policy' -l tlsa-base -x -d 'whose TLSA records they are; default: the host'"'"'s'
complete -c smtptls -n '_shtab_smtptls_using policy' -l dnssec -xka "secure insecure bogus error" -d 'how far the DNS can be believed on MX, addresses and TLSA; without --tlsa, that there are none'
complete -c smtptls -n '_shtab_smtptls_using policy' -l mx-dnssec -xka "none secure insecure bogus error" -d 'the same of the MX records alone'
complete -c smtptls -n '_shtab_smtptls_using policy' -l address-dnssec -xka "none secure insecure bogus error" -d 'the same of the address records alone'
complete -c smtptls -n '_shtab_smtptls_using policy' -l tlsa-dnssec -xka "none secure insecure bogus error" -d 'the same of the TLSA records alone'
complete -c smtptls -n '_shtab_smtptls_using policy' -l sts -xka "(__fish_complete_path (commandline -ct))" -d 'the text of the domain'"'"'s MTA-STS policy, or off: it has none'
complete -c smtptls -n '_shtab_smtptls_using policy' -l name -x -d 'a name that the certificate may be for, at verify and secure; .example.com is any host below'
complete -c smtptls -n '_shtab_smtptls_using policy' -l next-hop -x -d 'the domain that mail is for; default: the target'
complete -c smtptls -n '_shtab_smtptls_using policy' -l sni -x -d 'the name to send in the TLS handshake, or none'
complete -c smtptls -n '_shtab_smtptls_using policy' -l fingerprint -x -d 'of a certificate, for level fingerprint'
complete -c smtptls -n '_shtab_smtptls_using policy' -l key-fingerprint -x -d 'the same of a public key'
complete -c smtptls -n '_shtab_smtptls_using policy' -l ca -xka "(__fish_complete_path (commandline -ct))" -d 'a PEM file or directory of authorities to trust; system, the default; none'
complete -c smtptls -n '_shtab_smtptls_using policy' -l crl -xka "(__fish_complete_path (commandline -ct))" -d 'certificate revocation lists'
complete -c smtptls -n '_shtab_smtptls_using policy' -l cert -xka "(__fish_complete_path (commandline -ct))" -d 'our own certificate chain, for a server that asks for one'
complete -c smtptls -n '_shtab_smtptls_using policy' -l key -xka "(__fish_complete_path (commandline -ct))" -d 'its private key; default: in the same file'
complete -c smtptls -n '_shtab_smtptls_using policy' -l helo -x -d 'our name in EHLO; default: the system'"'"'s'
complete -c smtptls -n '_shtab_smtptls_using policy' -l json -d 'a document of schema smtptls.policy/1'
complete -c smtptls -n '_shtab_smtptls_using policy' -l color -xka "auto always never" -d 'colour; auto is on a terminal, unless NO_COLOR is set'
complete -c smtptls -n '_shtab_smtptls_using policy; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_print_hostnames)" -d 'the MX host'
complete -c smtptls -n '_shtab_smtptls_using; and test $_shtab_smtptls_npos -eq 0' -a tickets -d 'make, rotate and show a file of session ticket keys'
complete -c smtptls -n '_shtab_smtptls_using tickets' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using tickets; and test $_shtab_smtptls_npos -eq 0' -a make -d 'write a new file'
complete -c smtptls -n '_shtab_smtptls_using tickets make' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using tickets make' -l force -d 'replace a file, and end all its tickets'
complete -c smtptls -n '_shtab_smtptls_using tickets make; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_complete_path (commandline -ct))" -d FILE
complete -c smtptls -n '_shtab_smtptls_using tickets; and test $_shtab_smtptls_npos -eq 0' -a rotate -d 'make the next key current, and a new next one'
complete -c smtptls -n '_shtab_smtptls_using tickets rotate' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using tickets rotate; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_complete_path (commandline -ct))" -d FILE
complete -c smtptls -n '_shtab_smtptls_using tickets; and test $_shtab_smtptls_npos -eq 0' -a show -d 'print the age of a file and the names of its keys'
complete -c smtptls -n '_shtab_smtptls_using tickets show' -s h -l help -d 'show this help message and exit'
complete -c smtptls -n '_shtab_smtptls_using tickets show; and test $_shtab_smtptls_npos -eq 0' -ka "(__fish_complete_path (commandline -ct))" -d FILE
