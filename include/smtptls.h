/*
 * smtptls: STARTTLS for SMTP (RFC 3207), client and server, on rustls.
 *
 * SPDX-License-Identifier: Apache-2.0 OR ISC OR MIT
 *
 * Six nouns: a config (who we are and whom we trust) lives as long as the
 * process, a policy (what we demand) and an sts (what a domain says of its
 * hosts) as a destination, a session as a connection; info and error are read
 * from them. Sessions keep alive what they use: free anything in any order.
 * Strings that go in are UTF-8 (paths: any bytes) and are copied; pointers
 * that come out belong to the object they came from. Functions take NULL for
 * any object, and answer it with SMTPTLS_ERR_ARGUMENT, NULL, 0, -1 or false.
 * Nothing is printed, no signal handler or thread is installed, and there is
 * nothing to initialise. A child of fork() may use all that the parent made, if
 * no other thread of the parent was inside the library at that moment; else the
 * child may only exec or _exit, as with any code that takes locks. Where memory
 * runs out, the process may end with SIGABRT and a line on standard error. The
 * library asks no DNS and fetches no policy: what your resolver found goes into
 * the policy.
 */


#ifndef SMTPTLS_H
#define SMTPTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SMTPTLS_VERSION_MAJOR 0
#define SMTPTLS_VERSION_MINOR 1
#define SMTPTLS_VERSION_PATCH 0

#if defined(__GNUC__)
#define SMTPTLS_MUST_USE __attribute__((warn_unused_result))
#else
#define SMTPTLS_MUST_USE
#endif


// What a call returns. Zero is success, a negative number is one of these.
// New codes may be added: treat a number you do not know as a failure.
enum smtptls_code {
  // Success.
  SMTPTLS_OK = 0,
  // Feed more bytes from the peer, or wait until the descriptor can be
  // read, and call again.
  SMTPTLS_WANT_INPUT = -1,
  // Send what smtptls_session_output() shows, or wait until the descriptor
  // can be written, and call again.
  SMTPTLS_WANT_OUTPUT = -2,
  // A signal came, in mode SMTPTLS_MODE_INTERRUPTIBLE: call again to go on.
  SMTPTLS_WANT_RETRY = -3,
  // smtptls_session_start() wants something signed with a private key that is
  // elsewhere: see smtptls_session_set_signature().
  SMTPTLS_WANT_SIGNATURE = -4,
  // An argument is NULL, out of range or malformed.
  SMTPTLS_ERR_ARGUMENT = -10,
  // The call does not fit the state of the object.
  SMTPTLS_ERR_STATE = -11,
  // The configuration is frozen.
  SMTPTLS_ERR_FROZEN = -12,
  // A bug in the library; the object may only be freed.
  SMTPTLS_ERR_INTERNAL = -13,
  // A file could not be read.
  SMTPTLS_ERR_FILE = -20,
  // No certificate could be read from the input.
  SMTPTLS_ERR_CERTIFICATE_PARSE = -21,
  // No private key could be read from the input.
  SMTPTLS_ERR_KEY_PARSE = -22,
  // The private key is not the certificate's.
  SMTPTLS_ERR_KEY_MISMATCH = -23,
  // The policy needs trust anchors and the configuration has none.
  SMTPTLS_ERR_NO_ROOTS = -24,
  // A server needs a key pair and the configuration has none.
  SMTPTLS_ERR_NO_KEYPAIR = -25,
  // The private key is encrypted.
  SMTPTLS_ERR_KEY_ENCRYPTED = -26,
  // No certificate revocation list could be read from the input.
  SMTPTLS_ERR_CRL_PARSE = -27,
  // A system call failed; see smtptls_error_os().
  SMTPTLS_ERR_IO = -30,
  // The peer closed the connection.
  SMTPTLS_ERR_EOF = -31,
  // The time allowed for the call ran out.
  SMTPTLS_ERR_TIMEOUT = -32,
  // The peer closed the connection without a TLS close_notify.
  SMTPTLS_ERR_TRUNCATED = -33,
  // The server does not offer STARTTLS.
  SMTPTLS_ERR_NOT_OFFERED = -40,
  // The server refused STARTTLS, or the greeting or EHLO before it.
  SMTPTLS_ERR_REFUSED = -41,
  // What the peer sent is not SMTP.
  SMTPTLS_ERR_SMTP_SYNTAX = -42,
  // Plaintext arrived after STARTTLS and before TLS.
  SMTPTLS_ERR_PLAINTEXT_INJECTED = -43,
  // A line or a reply of the peer is longer than the limit.
  SMTPTLS_ERR_TOO_LONG = -44,
  // A reply arrived that nobody had asked for.
  SMTPTLS_ERR_UNSOLICITED = -45,
  // On a server: the client goes on without STARTTLS; its command is in
  // smtptls_session_leftover().
  SMTPTLS_ERR_NOT_REQUESTED = -46,
  // The policy wants no TLS: go on in plaintext.
  SMTPTLS_ERR_NOT_WANTED = -47,
  // The TLS handshake failed.
  SMTPTLS_ERR_HANDSHAKE = -50,
  // The peer sent a fatal TLS alert.
  SMTPTLS_ERR_ALERT = -51,
  // TLS broke after the handshake.
  SMTPTLS_ERR_TLS = -52,
  // The peer's certificate cannot be used.
  SMTPTLS_ERR_CERT_INVALID = -60,
  // The peer's certificate has expired or is not valid yet.
  SMTPTLS_ERR_CERT_TIME = -61,
  // The peer's certificate has no chain to a trust anchor.
  SMTPTLS_ERR_CERT_UNTRUSTED = -62,
  // The peer's certificate is not for the expected name.
  SMTPTLS_ERR_CERT_NAME = -63,
  // The peer's certificate has none of the expected fingerprints.
  SMTPTLS_ERR_FINGERPRINT = -64,
  // On a server: the client sent no certificate, and one is required.
  SMTPTLS_ERR_CERT_REQUIRED = -65,
  // The peer's certificate has been revoked.
  SMTPTLS_ERR_CERT_REVOKED = -66,
  // The certificate revocation list has expired.
  SMTPTLS_ERR_CRL_EXPIRED = -67,
  // No TLSA record matches the peer's certificates.
  SMTPTLS_ERR_DANE_MISMATCH = -70,
  // The policy requires DANE, and no usable TLSA record is secure.
  SMTPTLS_ERR_DANE_REQUIRED = -71,
  // A DNS lookup failed, or its answer did not validate.
  SMTPTLS_ERR_DNSSEC = -72,
  // The server is not one that the domain's MTA-STS policy names.
  SMTPTLS_ERR_STS_MX = -80,
  // The MTA-STS record or policy cannot be used.
  SMTPTLS_ERR_STS_INVALID = -81,
  // A condition of REQUIRETLS is not met.
  SMTPTLS_ERR_REQUIRETLS = -90,
};

// How much security is demanded of a peer, each level as Postfix defines it.
// The numbers are those of its TLS_LEV_*; 4 is reserved.
enum smtptls_level {
  // No TLS, even if the server offers it. For a server: STARTTLS is not
  // offered.
  SMTPTLS_LEVEL_NONE = 0,
  // TLS if the server offers it, any certificate, plaintext otherwise. For
  // a server: STARTTLS is offered and not required.
  SMTPTLS_LEVEL_MAY = 1,
  // TLS or failure, any certificate. For a server: nothing but STARTTLS is
  // answered before TLS.
  SMTPTLS_LEVEL_ENCRYPT = 2,
  // TLS, and a certificate or public key with a known fingerprint; names,
  // dates and issuers do not count.
  SMTPTLS_LEVEL_FINGERPRINT = 3,
  // DANE (RFC 7672) if there are secure and usable TLSA records;
  // SMTPTLS_LEVEL_MAY if there are no secure ones, SMTPTLS_LEVEL_ENCRYPT if
  // none of them is usable.
  SMTPTLS_LEVEL_DANE = 5,
  // DANE or failure.
  SMTPTLS_LEVEL_DANE_ONLY = 6,
  // TLS, a certificate from a trusted authority, and for the server's name.
  SMTPTLS_LEVEL_VERIFY = 7,
  // The same, but for the name of the next hop, which no insecure DNS
  // answer can change.
  SMTPTLS_LEVEL_SECURE = 8,
};

// Where in the dialogue of RFC 3207 the session takes over.
enum smtptls_entry {
  // At the start: greeting, EHLO, STARTTLS, TLS; a client then says EHLO
  // again. A server greets, and answers EHLO, HELO, NOOP, RSET, QUIT and
  // STARTTLS; it ends with SMTPTLS_ERR_NOT_REQUESTED at any other command.
  SMTPTLS_FROM_GREETING = 0,
  // EHLO is done. A client session sends STARTTLS; a server session
  // answers the STARTTLS that you have read.
  SMTPTLS_FROM_COMMAND = 1,
  // STARTTLS has been answered with 220, or there is none (port 465).
  SMTPTLS_FROM_HANDSHAKE = 2,
};

// How the peer was authenticated.
enum smtptls_auth {
  // It was not.
  SMTPTLS_AUTH_NONE = 0,
  // By the fingerprint of its certificate or public key.
  SMTPTLS_AUTH_FINGERPRINT = 1,
  // By a TLSA record for its own certificate or key (DANE-EE).
  SMTPTLS_AUTH_DANE_EE = 2,
  // By a TLSA record for its authority, and for an expected name (DANE-TA).
  SMTPTLS_AUTH_DANE_TA = 3,
  // By a trusted authority, for an expected name.
  SMTPTLS_AUTH_PKIX = 4,
};

// What the policy lets a program do after a failure.
enum smtptls_action {
  // Nothing: end this connection, and tell the administrator.
  SMTPTLS_ACTION_FAIL = 0,
  // Go on in plaintext on this connection.
  SMTPTLS_ACTION_CONTINUE = 1,
  // Connect again and deliver in plaintext.
  SMTPTLS_ACTION_RECONNECT = 2,
  // Try the next server of the destination, or try again later.
  SMTPTLS_ACTION_NEXT_HOST = 3,
};

// How calls on descriptors wait.
enum smtptls_mode {
  // Until done, failed or past the time limit, whatever O_NONBLOCK says.
  SMTPTLS_MODE_BLOCKING = 0,
  // The same, but a signal ends the wait: the call returns
  // SMTPTLS_WANT_RETRY, and goes on when called again.
  SMTPTLS_MODE_INTERRUPTIBLE = 1,
  // Not at all: the call returns SMTPTLS_WANT_INPUT or
  // SMTPTLS_WANT_OUTPUT.
  SMTPTLS_MODE_NONBLOCKING = 2,
};

// How to close.
enum smtptls_close {
  // Send close_notify.
  SMTPTLS_CLOSE_SEND = 0,
  // Send close_notify, and read and drop what comes until the peer's.
  SMTPTLS_CLOSE_WAIT = 1,
  // Send close_notify, and go on reading.
  SMTPTLS_CLOSE_HALF = 2,
};

// SMTP or LMTP.
enum smtptls_protocol {
  // SMTP (RFC 5321): EHLO, or HELO.
  SMTPTLS_PROTOCOL_SMTP = 0,
  // LMTP (RFC 2033): LHLO, and neither EHLO nor HELO.
  SMTPTLS_PROTOCOL_LMTP = 1,
};

// What a fingerprint is the digest of.
enum smtptls_fingerprint_of {
  // The whole certificate.
  SMTPTLS_FINGERPRINT_CERT = 0,
  // The public key (SubjectPublicKeyInfo).
  SMTPTLS_FINGERPRINT_PUBKEY = 1,
};

// Which time limit.
enum smtptls_timeout {
  // For smtptls_session_start() as a whole.
  SMTPTLS_TIMEOUT_START = 0,
  // For each other call that waits.
  SMTPTLS_TIMEOUT_IO = 1,
};

// Protocol versions, by their numbers on the wire.
enum smtptls_tls_version {
  SMTPTLS_TLS1_2 = 771,
  SMTPTLS_TLS1_3 = 772,
};

// Result types of SMTP TLS reporting (RFC 8460), numbered as libtlsrpt's
// tlsrpt_failure_t.
enum smtptls_tlsrpt {
  // Not for a report.
  SMTPTLS_TLSRPT_NONE = 0,
  // The server did not offer STARTTLS, or refused it.
  SMTPTLS_TLSRPT_STARTTLS_NOT_SUPPORTED = 201,
  // The certificate is not for the expected name.
  SMTPTLS_TLSRPT_CERTIFICATE_HOST_MISMATCH = 202,
  // The certificate has no chain to a trust anchor, or matches no TLSA
  // record.
  SMTPTLS_TLSRPT_CERTIFICATE_NOT_TRUSTED = 203,
  // The certificate has expired.
  SMTPTLS_TLSRPT_CERTIFICATE_EXPIRED = 204,
  // Any other failure.
  SMTPTLS_TLSRPT_VALIDATION_FAILURE = 205,
  // The MTA-STS policy could not be fetched. Only who fetches it can know.
  SMTPTLS_TLSRPT_STS_POLICY_FETCH_ERROR = 301,
  // The MTA-STS policy could not be read.
  SMTPTLS_TLSRPT_STS_POLICY_INVALID = 302,
  // The MTA-STS policy host has no valid certificate. Only who fetches the
  // policy can know.
  SMTPTLS_TLSRPT_STS_WEBPKI_INVALID = 303,
  // No record of the TLSA set is usable.
  SMTPTLS_TLSRPT_TLSA_INVALID = 304,
  // The DNS lookup failed, or its answer did not validate.
  SMTPTLS_TLSRPT_DNSSEC_INVALID = 305,
  // DANE is demanded, and there is no secure TLSA record.
  SMTPTLS_TLSRPT_DANE_REQUIRED = 306,
};

// Digest algorithms, numbered as TLS numbers hashes (RFC 5246 section
// 7.4.1.4.1).
enum smtptls_digest {
  // For old tables only. It is broken for collisions, and nobody should
  // make new entries with it.
  SMTPTLS_DIGEST_SHA1 = 2,
  SMTPTLS_DIGEST_SHA256 = 4,
  SMTPTLS_DIGEST_SHA384 = 5,
  SMTPTLS_DIGEST_SHA512 = 6,
};

// How far a DNS answer can be believed (RFC 7672 section 2.1.1, RFC 4035
// section 4.3).
enum smtptls_dnssec {
  // No lookup was made.
  SMTPTLS_DNSSEC_NONE = 0,
  // The answer, or that there is none, was validated.
  SMTPTLS_DNSSEC_SECURE = 1,
  // It was validated that the zone is not signed. In a chain of CNAMEs one
  // such link is enough.
  SMTPTLS_DNSSEC_INSECURE = 2,
  // Validation failed.
  SMTPTLS_DNSSEC_BOGUS = 3,
  // The lookup failed: SERVFAIL, a timeout, REFUSED, or a state of
  // validation that is not known.
  SMTPTLS_DNSSEC_ERROR = 4,
};

// What an MTA-STS policy demands (RFC 8461 section 5).
enum smtptls_sts_mode {
  // Nothing: the domain is taking its policy back.
  SMTPTLS_STS_NONE = 0,
  // Failures are reported, and mail is delivered all the same.
  SMTPTLS_STS_TESTING = 1,
  // No delivery to a server that fails.
  SMTPTLS_STS_ENFORCE = 2,
};

// Whether a server asks for client certificates.
enum smtptls_client_auth {
  // It does not. The default.
  SMTPTLS_CLIENT_AUTH_NONE = 0,
  // It asks, and takes any certificate or none: the info says what it is
  // worth.
  SMTPTLS_CLIENT_AUTH_ASK = 1,
  // It fails after the handshake without one that is good.
  SMTPTLS_CLIENT_AUTH_REQUIRE = 2,
};

// What a process trusts and who it is: trust anchors, key pairs, limits.
//
// Make one at start-up, freeze it, and share it: a frozen configuration is
// read-only and any number of threads, and processes after fork(), may use
// it at once. Until then only one thread may touch it.
//
// A call that fails spoils it: a configuration whose trust could not be
// loaded never freezes, and no session can be started from it.
struct smtptls_config;

// Why something failed. Read-only.
struct smtptls_error;

// The facts of an established TLS connection. Read-only, and good for any
// thread. Strings are UTF-8. What a session shows belongs to the session, and
// lives as long as it does, as do the strings in it; what
// smtptls_info_from_bytes() made is yours to free.
struct smtptls_info;

// What is demanded of one destination. Cheap to make: one per delivery is
// fine. A session copies it, so it may be freed or changed at once. Only one
// thread may use it at a time.
//
// For a client's session the level says what is demanded of the server. For a
// server's it says whether STARTTLS is offered (SMTPTLS_LEVEL_MAY) or required
// (SMTPTLS_LEVEL_ENCRYPT), or not offered (SMTPTLS_LEVEL_NONE). A publicly
// referenced server must not require STARTTLS for local mail (RFC 3207 section
// 4): on port 25 of an MX host use SMTPTLS_LEVEL_ENCRYPT only where every
// sender is known.
//
// The library asks no DNS. At the levels SMTPTLS_LEVEL_DANE and
// SMTPTLS_LEVEL_DANE_ONLY you give what your resolver found, and whether that
// was validated: the MX records with smtptls_policy_set_next_hop(), the
// addresses with smtptls_policy_set_address_dnssec(), the TLSA records with
// smtptls_policy_set_tlsa() and smtptls_policy_add_tlsa(). At other levels all
// of this is left unused.
struct smtptls_policy;

// One SMTP connection on its way to TLS, and then in it.
//
// With descriptors attached, calls do I/O as their mode says. Without, the
// session never touches a descriptor: you carry the bytes with
// smtptls_session_feed() and smtptls_session_output(), and calls that cannot
// go on return SMTPTLS_WANT_INPUT or SMTPTLS_WANT_OUTPUT.
//
// Only one thread may use a session at a time. After fork() only one of the
// two processes may go on using it; the other may free it, which sends
// nothing. What was learnt before TLS is forgotten when TLS begins.
struct smtptls_session;

// What a domain says of its own MX hosts: its MTA-STS policy (RFC 8461).
// Looking up the TXT record, fetching the policy by HTTPS and keeping it are
// yours; here both are read and judged.
//
// Of what is fetched and what was kept, the one just fetched holds; else a kept
// one that is still current, whatever the DNS says; else none (RFC 8461
// sections 3.3 and 5.1). Give that one to smtptls_policy_set_sts(), which
// copies it. Only one thread may use an sts at a time.
struct smtptls_sts;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// A new configuration: no trust anchors, no key pairs, TLS 1.2 or later.
// NULL only when out of memory.
struct smtptls_config *smtptls_config_new(void);

// Frees a configuration. Sessions made from it keep what they need. NULL is
// fine.
void smtptls_config_free(struct smtptls_config *config);

// Checks the configuration as a whole and makes it read-only. Making a
// session freezes it too; freeze it yourself to see mistakes at start-up,
// and before threads share it. Returns SMTPTLS_OK, or the code of the first
// call that failed.
int smtptls_config_freeze(struct smtptls_config *config);

// Why the last smtptls_config_*() call failed, or NULL if it did not. Valid
// until the next call on this configuration.
const struct smtptls_error *smtptls_config_error(const struct smtptls_config *config);

// The name this host gives in EHLO and in its greeting. The default is the
// system's host name. SMTPTLS_ERR_ARGUMENT if it cannot be one.
int smtptls_config_set_hostname(struct smtptls_config *config,
                                const char *hostname);

// Trusts the authorities that the system trusts. SMTPTLS_ERR_NO_ROOTS if it
// trusts none.
int smtptls_config_add_system_roots(struct smtptls_config *config);

// Trusts every certificate in a PEM file. SMTPTLS_ERR_FILE,
// SMTPTLS_ERR_CERTIFICATE_PARSE.
int smtptls_config_add_roots_file(struct smtptls_config *config,
                                  const char *file);

// Trusts every certificate in the PEM files of a directory, as "openssl
// rehash" fills one. They are read now, and not when a server is judged, so
// that the program may give the directory up. SMTPTLS_ERR_FILE,
// SMTPTLS_ERR_CERTIFICATE_PARSE.
int smtptls_config_add_roots_dir(struct smtptls_config *config,
                                 const char *directory);

// Trusts every certificate in PEM text.
int smtptls_config_add_roots_pem(struct smtptls_config *config,
                                 const void *pem,
                                 size_t len);

// Adds certificate revocation lists from a file, in PEM or DER. They hold at
// the levels that go by trust anchors, for every certificate of a chain whose
// issuer has a list here; a list that has expired makes such a certificate
// fail. DANE and fingerprints know no revocation. SMTPTLS_ERR_FILE,
// SMTPTLS_ERR_CRL_PARSE.
int smtptls_config_add_crl_file(struct smtptls_config *config,
                                const char *file);

// As smtptls_config_add_crl_file(), from memory.
int smtptls_config_add_crl_pem(struct smtptls_config *config,
                               const void *pem,
                               size_t len);

// Keeps the TLS sessions of clients with this many servers, in memory, so
// that they can be resumed; 0, the default, keeps none. They are kept by host
// and SNI, and a resumed one is judged anew: by the policy of its time, from
// the chain that the first handshake saw. One that is refused is forgotten.
// Any number of threads may share them; after fork() each process has its own.
int smtptls_config_set_client_sessions(struct smtptls_config *config,
                                       size_t servers);

// Adds a certificate chain and its private key from PEM files; they may be
// the same file, with key and certificates in any order. A client presents
// the first key pair that the server accepts. A server chooses by the name
// the client asks for; the first key pair serves clients that name none or
// an unknown one. SMTPTLS_ERR_FILE, SMTPTLS_ERR_CERTIFICATE_PARSE,
// SMTPTLS_ERR_KEY_PARSE, SMTPTLS_ERR_KEY_MISMATCH, SMTPTLS_ERR_KEY_ENCRYPTED.
int smtptls_config_add_keypair_file(struct smtptls_config *config,
                                    const char *chain,
                                    const char *key);

// As smtptls_config_add_keypair_file(), from PEM text.
int smtptls_config_add_keypair_pem(struct smtptls_config *config,
                                   const void *chain,
                                   size_t chain_len,
                                   const void *key,
                                   size_t key_len);

// Adds all key pairs of one PEM file, such as Postfix's chain files: each key
// before its chain, or each behind it. The error names the line.
int smtptls_config_add_keypairs_file(struct smtptls_config *config,
                                     const char *path);

// Adds a certificate chain from a PEM file whose private key is elsewhere, in
// another process or in a device. With it smtptls_session_start() returns
// SMTPTLS_WANT_SIGNATURE, and you have the key sign. As a client such a
// configuration resumes no sessions. SMTPTLS_ERR_FILE,
// SMTPTLS_ERR_CERTIFICATE_PARSE.
int smtptls_config_add_certificate_file(struct smtptls_config *config,
                                        const char *chain);

// As smtptls_config_add_certificate_file(), from PEM text.
int smtptls_config_add_certificate_pem(struct smtptls_config *config,
                                       const void *chain,
                                       size_t chain_len);

// Uses the key pair that was added last for this name too: a host name, or
// ".example.com" for any below that domain. SMTPTLS_ERR_STATE if there is none
// yet.
int smtptls_config_add_keypair_name(struct smtptls_config *config,
                                    const char *name);

// Staples an OCSP response to the key pair that was added last: a file in DER,
// which is read now, and again with the pair. What it says, and for how long,
// is for clients to judge.
int smtptls_config_set_ocsp_file(struct smtptls_config *config,
                                 const char *path);

// Whether a server asks for client certificates, one of enum
// smtptls_client_auth, and whether it names the authorities that it trusts:
// some clients choose by these names, and the list can be long. Certificates
// are judged after the handshake, which never fails for one; whom they let in
// is yours to say. With SMTPTLS_CLIENT_AUTH_REQUIRE smtptls_session_start()
// fails without one that is trusted, or whose fingerprint the policy has; then
// smtptls_session_refuse() answers 554.
int smtptls_config_set_client_auth(struct smtptls_config *config,
                                   int mode,
                                   bool names);

// The application protocols (ALPN, RFC 7301) to offer, or as a server to take:
// count strings. None by default: no protocol is registered for SMTP, and a
// server without any ignores what clients offer. A server that has some is as
// strict as Exim: a client that offers ALPN must offer exactly one protocol,
// and one of these.
int smtptls_config_set_alpn(struct smtptls_config *config,
                            const char *const *protocols,
                            size_t count);

// Reads the files of the key pairs again; pairs from memory stay. All are
// checked first: on an error the old ones go on serving, and
// smtptls_config_error() says which file and why. Sessions that are made
// afterwards see the new ones. For a frozen configuration, from any thread, but
// of the calls that change a live configuration only one at a time, and
// smtptls_config_error() is about the last.
int smtptls_config_reload_keypairs(struct smtptls_config *config);

// Takes the key pairs of another configuration that is being made, in place of
// its own: for a program that can read no files any more, or whose names have
// changed. The other one may be freed then. SMTPTLS_ERR_NO_KEYPAIR if it has
// none; on any error the old pairs go on serving. Threads as for
// smtptls_config_reload_keypairs().
int smtptls_config_replace_keypairs(struct smtptls_config *config,
                                    const struct smtptls_config *from);

// The keys for a server's session tickets, from a file that holds the current
// key, the next and the previous one; "python3 -m smtptls.tickets" makes and
// rotates it. The current key seals, and all of them open tickets. Before the
// configuration is frozen; smtptls_config_reload_ticket_keys() reads the file
// again.
int smtptls_config_set_ticket_key_file(struct smtptls_config *config,
                                       const char *path);

// Reads the file of ticket keys again. On an error the old keys stay. Threads
// as for smtptls_config_reload_keypairs().
int smtptls_config_reload_ticket_keys(struct smtptls_config *config);

// The keys for a server's session tickets: count times 32 random octets, one
// behind the other. The first key seals new tickets, and each opens those that
// it has sealed, so all processes and hosts with the same keys resume each
// other's sessions. To rotate, put the new key first and leave the old ones
// behind it for as long as their tickets are good. With none, the default,
// nothing is resumed. Before the configuration is frozen and afterwards;
// threads as for smtptls_config_reload_keypairs(). The keys are copied; wipe
// your own.
int smtptls_config_set_ticket_keys(struct smtptls_config *config,
                                   const void *keys,
                                   size_t count);

// The oldest protocol version to accept, one of enum smtptls_tls_version;
// SMTPTLS_TLS1_2 by default.
int smtptls_config_set_min_version(struct smtptls_config *config, int version);

// The newest protocol version to use, one of enum smtptls_tls_version;
// SMTPTLS_TLS1_3 by default.
int smtptls_config_set_max_version(struct smtptls_config *config, int version);

// The cipher suites to use, in order of preference: names of IANA or of
// OpenSSL, with colons, commas or blanks between. Returns how many words of
// the list name none that the library has, see smtptls_config_unknown(), or
// SMTPTLS_ERR_ARGUMENT if no word does. The default are all, and they are all
// good; AES-128-GCM comes first. A server goes by its own order.
//
// A list is for the versions of TLS that it names suites of: one without a
// suite of TLS 1.3 leaves those as they are, as with OpenSSL.
int smtptls_config_set_ciphers(struct smtptls_config *config,
                               const char *list);

// The key exchange groups to use, in order of preference: names of IANA or of
// OpenSSL, with colons, commas or blanks between. Returns how many words of
// the list name none that the library has, see smtptls_config_unknown(), or
// SMTPTLS_ERR_ARGUMENT if no word does. A client's key share is for the first.
//
// By default a client begins with x25519 and a server with X25519MLKEM768: a
// key share of the latter makes a ClientHello longer than a segment, which
// some SMTP servers cannot take, and at level may mail would then go in
// plaintext. A server that prefers X25519MLKEM768 still gets it, at the second
// try. To begin with it, set "X25519MLKEM768:x25519:secp256r1:secp384r1".
int smtptls_config_set_groups(struct smtptls_config *config, const char *list);

// A word of the list that was set last, escaped, which names no cipher suite
// or group that the library has. NULL past the last. Valid until the next list
// is set.
const char *smtptls_config_unknown(const struct smtptls_config *config,
                                   size_t index);

// The name of the service, "smtp" by default. A session ticket of one service
// is nothing to another that has the same keys.
int smtptls_config_set_service(struct smtptls_config *config,
                               const char *name);

// For how many seconds a session ticket is good; an hour by default, and a
// week at most.
int smtptls_config_set_ticket_lifetime(struct smtptls_config *config,
                                       uint32_t seconds);

// How many tickets a server gives after a handshake of TLS 1.3: 0, 1 or 2; one
// by default.
int smtptls_config_set_tickets(struct smtptls_config *config, size_t count);

// The code, one of enum smtptls_code. SMTPTLS_OK for NULL.
int smtptls_error_code(const struct smtptls_error *error);

// One line of English for logs. Its wording may change. What the peer sent
// stands in it escaped. Never NULL.
const char *smtptls_error_message(const struct smtptls_error *error);

// The errno of a failed system call, or 0.
int smtptls_error_os(const struct smtptls_error *error);

// The number of the TLS alert that the peer sent (RFC 8446 section 6), or -1.
int smtptls_error_alert(const struct smtptls_error *error);

// What the policy lets a program do now, one of enum smtptls_action.
int smtptls_error_action(const struct smtptls_error *error);

// The enhanced status code (RFC 3463) for the deferral or the bounce, such as
// "4.7.5"; NULL on a server, and where there is nothing to defer. Static.
const char *smtptls_error_enhanced_status(const struct smtptls_error *error);

// Whether it is worth trying later. False for NULL.
bool smtptls_error_temporary(const struct smtptls_error *error);

// The result type for an SMTP TLS report, one of enum smtptls_tlsrpt.
int smtptls_error_tlsrpt(const struct smtptls_error *error);

// The name of that result type, such as "certificate-expired", or NULL.
// Static.
const char *smtptls_error_tlsrpt_name(const struct smtptls_error *error);

// The failure-reason-code for that report (RFC 8460 section 4.3.1), such as
// "dane-no-match", or NULL. Static.
const char *smtptls_error_tlsrpt_reason(const struct smtptls_error *error);

// What Postfix logs of a connection and writes into Received, word for word:
// "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange
// X25519 server-signature ECDSA (prime256v1) server-digest SHA256".
const char *smtptls_info_summary(const struct smtptls_info *info);

// The protocol version, "TLSv1.2" or "TLSv1.3".
const char *smtptls_info_version(const struct smtptls_info *info);

// The cipher suite by its IANA name.
const char *smtptls_info_cipher(const struct smtptls_info *info);

// The cipher suite by OpenSSL's name: "ECDHE-RSA-AES128-GCM-SHA256". In TLS 1.3
// it is IANA's.
const char *smtptls_info_cipher_openssl(const struct smtptls_info *info);

// What Exim has in $tls_in_cipher: "TLS1.3:TLS_AES_256_GCM_SHA384:256".
const char *smtptls_info_exim_cipher(const struct smtptls_info *info);

// The strength of the cipher in bits.
int smtptls_info_cipher_bits(const struct smtptls_info *info);

// The key exchange group by its IANA name, or NULL where a resumed session
// of TLS 1.2 had none.
const char *smtptls_info_group(const struct smtptls_info *info);

// The algorithm of the server's signature in the handshake, by OpenSSL's name:
// "RSA-PSS", "ECDSA". NULL of a resumed session.
const char *smtptls_info_server_signature(const struct smtptls_info *info);

// The digest of that signature, "SHA256"; NULL where it is part of the
// algorithm.
const char *smtptls_info_server_digest(const struct smtptls_info *info);

// The algorithm of the client's signature; NULL if it showed no certificate,
// and of a resumed session.
const char *smtptls_info_client_signature(const struct smtptls_info *info);

// The digest of that signature, or NULL.
const char *smtptls_info_client_digest(const struct smtptls_info *info);

// On a server, the server name (SNI) that the client sent, or NULL.
const char *smtptls_info_server_name(const struct smtptls_info *info);

// The application protocol (ALPN, RFC 7301) that was agreed on, not terminated;
// NULL if there is none. *len is its length.
const uint8_t *smtptls_info_alpn(const struct smtptls_info *info,
                                 size_t *len);

// Whether an earlier TLS session was resumed.
bool smtptls_info_resumed(const struct smtptls_info *info);

// The level that was in force, one of enum smtptls_level. It is not always the
// one that was asked for: see smtptls_policy_effective_level().
int smtptls_info_level(const struct smtptls_info *info);

// How the peer was authenticated, one of enum smtptls_auth. At the levels may
// and encrypt, which ask for nothing, this is a fact for the log: an attacker
// could have done without.
int smtptls_info_auth(const struct smtptls_info *info);

// Whether the policy demanded that the peer prove who it is, the peer did, and
// it is the server of the destination. Under DANE with insecure MX records it
// proved to be the host that an insecure answer named, and that is not enough
// for this (RFC 7672 section 2.2.1).
bool smtptls_info_secured(const struct smtptls_info *info);

// Whether the peer sent a certificate.
bool smtptls_info_certificate_present(const struct smtptls_info *info);

// Whether the peer's certificate has a valid chain to a trust anchor,
// whatever name it is for; or whether a TLSA record or a fingerprint vouches
// for it, where these are in force.
bool smtptls_info_trusted(const struct smtptls_info *info);

// Whether the peer's certificate is for an expected name, whoever signed it.
bool smtptls_info_name_matched(const struct smtptls_info *info);

// The expected name that the peer's certificate is for, or NULL.
const char *smtptls_info_matched_name(const struct smtptls_info *info);

// Why the peer is not authenticated, in one line, or NULL if it is. At the
// levels may and encrypt this is no error.
const char *smtptls_info_doubt(const struct smtptls_info *info);

// At which depth of the peer's chain the reason for that lies: 0 is its own
// certificate, 1 that of the authority that signed it, and so on. The one
// nearest to the peer's own counts. -1 if there is no doubt, or no such depth.
int smtptls_info_doubt_depth(const struct smtptls_info *info);

// The TLSA record that vouches for the peer, in presentation form such as
// "3 1 1 0f1e...", or NULL.
const char *smtptls_info_matched_tlsa(const struct smtptls_info *info);

// At which depth of the peer's chain that record holds: 0 is its own
// certificate. Where the authority's certificate is not in the chain, the
// depth that it would have. -1 if there is no such record.
int smtptls_info_tlsa_depth(const struct smtptls_info *info);

// The fingerprint that vouches for the peer, such as "sha256:" and lower case
// hex, or NULL.
const char *smtptls_info_matched_fingerprint(const struct smtptls_info *info);

// The "tls-exporter" channel binding (RFC 9266) for SASL SCRAM-*-PLUS: 32
// bytes. NULL at TLS 1.2, where the library cannot tell whether it is
// defined. *len is its length.
const uint8_t *smtptls_info_channel_binding(const struct smtptls_info *info,
                                            size_t *len);

// The "tls-server-end-point" channel binding (RFC 5929 section 4.1): a digest
// of the server's certificate. NULL where it is not defined: without one, and
// where its signature has no digest of its own, as with Ed25519. *len is its
// length.
const uint8_t *smtptls_info_server_end_point(const struct smtptls_info *info,
                                             size_t *len);

// The clause for a Received header (RFC 8314 section 4.3), such as
// "tls TLS_AES_256_GCM_SHA384 group x25519".
const char *smtptls_info_received_clause(const struct smtptls_info *info);

// On a server, for a comment of a Received header (RFC 3207 section 4.1), what
// Postfix writes of the client's certificate: "Client CN \"mail.example.org\",
// Issuer \"Example CA\" (verified OK)", or "(not verified)". What the client chose
// cannot end the comment. NULL of a server, and without a certificate.
const char *smtptls_info_received_client(const struct smtptls_info *info);

// All of it as bytes, to be carried to another process, which makes an info of
// them by smtptls_info_from_bytes(). There is no secret in them. *len is their
// number; they live as long as the info.
const uint8_t *smtptls_info_to_bytes(const struct smtptls_info *info,
                                     size_t *len);

// An info from what smtptls_info_to_bytes() gave, in whatever process. NULL if
// these bytes are no info, or out of memory. Free it with smtptls_info_free().
// Whoever hands the bytes over is believed.
struct smtptls_info *smtptls_info_from_bytes(const void *data, size_t len);

// Frees an info that smtptls_info_from_bytes() made, and no other: that of a
// session is the session's. NULL is fine.
void smtptls_info_free(struct smtptls_info *info);

// The DER of a certificate that the peer sent, the peer's own at index 0.
// NULL past the last. *len is its length.
const uint8_t *smtptls_info_peer_cert(const struct smtptls_info *info,
                                      size_t index,
                                      size_t *len);

// The certificates that the peer sent, in PEM, its own first. Empty if it sent
// none.
const char *smtptls_info_peer_chain_pem(const struct smtptls_info *info);

// The digest of the peer's certificate or public key: the algorithm, a colon
// and lower case hex, such as "sha256:0f1e...". NULL if there is none. of is
// one of enum smtptls_fingerprint_of, digest one of enum smtptls_digest. It is
// made at the first call for that pair, and kept.
const char *smtptls_info_peer_fingerprint(const struct smtptls_info *info,
                                          int of,
                                          int digest);

// The subject of the peer's certificate as in RFC 4514, or NULL.
const char *smtptls_info_peer_subject(const struct smtptls_info *info);

// The issuer of the peer's certificate as in RFC 4514, or NULL.
const char *smtptls_info_peer_issuer(const struct smtptls_info *info);

// The common name of the peer's certificate, escaped, or NULL. It is for logs:
// no name is compared with it.
const char *smtptls_info_peer_common_name(const struct smtptls_info *info);

// The common name of the issuer, escaped, or NULL.
const char *smtptls_info_peer_issuer_common_name(const struct smtptls_info *info);

// The serial number of the peer's certificate in lower case hex, or NULL.
const char *smtptls_info_peer_serial(const struct smtptls_info *info);

// A name of the peer's certificate, escaped: "DNS:mx.example.com",
// "IP:192.0.2.1", "email:", "URI:". NULL past the last.
const char *smtptls_info_peer_name(const struct smtptls_info *info,
                                   size_t index);

// When the peer's certificate begins, in seconds since 1970; -1 without one.
int64_t smtptls_info_peer_not_before(const struct smtptls_info *info);

// When the peer's certificate ends, in seconds since 1970; -1 without one.
int64_t smtptls_info_peer_not_after(const struct smtptls_info *info);

// The kind of the peer's key, "RSA", "ECDSA" or "ED25519", or NULL.
const char *smtptls_info_peer_key_algorithm(const struct smtptls_info *info);

// The size of the peer's key in bits, or 0.
int smtptls_info_peer_key_bits(const struct smtptls_info *info);

// A new policy of one of enum smtptls_level; NULL if there is no such level.
struct smtptls_policy *smtptls_policy_new(int level);

// Frees a policy. NULL is fine.
void smtptls_policy_free(struct smtptls_policy *policy);

// Why the last smtptls_policy_*() call failed, or NULL if it did not. Valid
// until the next call on this policy.
const struct smtptls_error *smtptls_policy_error(const struct smtptls_policy *policy);

// Accepts a certificate for this name: a host name (also with letters that
// are not ASCII), an IP address, or ".example.com" for any host below that
// domain. Names that were added take the place of the session's host, and at
// SMTPTLS_LEVEL_SECURE of the next hop's. At the DANE levels they are an
// error: there the DNS names them. SMTPTLS_ERR_ARGUMENT if it is no name.
int smtptls_policy_add_name(struct smtptls_policy *policy, const char *name);

// At the levels verify and secure takes a trusted certificate for whatever name,
// as Exim does with tls_verify_hosts alone, and OpenSSL where no name is set. It
// lets in whoever has any certificate of any trusted authority, so it is for
// authorities that serve nobody else. For such a peer smtptls_info_secured says
// no. Where MTA-STS is in force the name counts all the same.
int smtptls_policy_set_insecure_any_name(struct smtptls_policy *policy,
                                         bool any);

// The server name (SNI) that a client sends. By default it is the session's
// host, if that is a host name. NULL sends none. Where DANE is in force it is
// always the TLSA base domain (RFC 7672 section 8.1). SMTPTLS_ERR_ARGUMENT if
// it is no host name.
int smtptls_policy_set_sni(struct smtptls_policy *policy, const char *name);

// Accepts a certificate by its fingerprint, at SMTPTLS_LEVEL_FINGERPRINT:
// "sha256:" and hex digits of either case, with or without colons. Without an
// algorithm, as in Postfix's tables, the length tells it. of is one of enum
// smtptls_fingerprint_of. SMTPTLS_ERR_ARGUMENT if it is no fingerprint.
int smtptls_policy_add_fingerprint(struct smtptls_policy *policy,
                                   int of,
                                   const char *digest);

// The domain's MTA-STS policy (RFC 8461), if there is one that is current; NULL
// takes it away. It raises the levels SMTPTLS_LEVEL_MAY and
// SMTPTLS_LEVEL_ENCRYPT, and SMTPTLS_LEVEL_DANE where the domain has no secure
// TLSA records; what DANE says it never outweighs. It is copied.
// SMTPTLS_ERR_STATE if sts has no policy: smtptls_sts_parse() did not succeed.
int smtptls_policy_set_sts(struct smtptls_policy *policy,
                           const struct smtptls_sts *sts);

// The message says "TLS-Required: No" (RFC 8689 section 3): TLS is tried, and
// DANE and MTA-STS do not count. With always, nor does a stricter local level.
// Leave it out for a message that came with REQUIRETLS.
int smtptls_policy_set_tls_optional(struct smtptls_policy *policy,
                                    bool always);

// The level that holds for a client's session with this host, by all that is
// known before it begins: one of enum smtptls_level. Or why there is to be no
// session, a negative code whose error is in smtptls_policy_error(); the same
// comes from smtptls_session_start(). SMTPTLS_ERR_DNSSEC,
// SMTPTLS_ERR_DANE_REQUIRED, SMTPTLS_ERR_STS_MX, SMTPTLS_ERR_ARGUMENT.
int smtptls_policy_effective_level(struct smtptls_policy *policy,
                                   const char *host);

// The domain that mail is for, where its CNAMEs lead if that is another name
// (else NULL), and whether its MX records are secure: mx is one of enum
// smtptls_dnssec, SMTPTLS_DNSSEC_NONE if no MX lookup was made, as for a
// configured relay. At SMTPTLS_LEVEL_SECURE a certificate for the domain, or
// for any host below it, is accepted; at the DANE levels one for the domain,
// if its MX records are secure (RFC 7672 section 3.2.2).
// SMTPTLS_ERR_ARGUMENT if one of them is no name.
int smtptls_policy_set_next_hop(struct smtptls_policy *policy,
                                const char *name,
                                const char *expanded,
                                int mx);

// Whether the server's addresses are secure, one of enum smtptls_dnssec. One
// of A and AAAA is enough for that.
int smtptls_policy_set_address_dnssec(struct smtptls_policy *policy,
                                      int status);

// Whether the answer to the lookup of TLSA records is secure, one of enum
// smtptls_dnssec, and for which base domain it was made (RFC 7672 section
// 2.2.3); NULL is the session's host. The DANE levels need this, but where the
// lookup cannot be made: below insecure MX or address records, and for an IP
// address. SMTPTLS_ERR_ARGUMENT if base is no name.
int smtptls_policy_set_tlsa(struct smtptls_policy *policy,
                            const char *base,
                            int status);

// Adds a TLSA record (RFC 6698), as the DNS has it: 1 if it is usable (RFC 7671
// section 5, RFC 7672 section 3.1), 0 if it is kept as unusable, or a negative
// code. One that is unusable counts all the same: it says that the domain has
// TLS. data, the certificate association data, is copied.
int smtptls_policy_add_tlsa(struct smtptls_policy *policy,
                            uint8_t usage,
                            uint8_t selector,
                            uint8_t matching,
                            const void *data,
                            size_t len);

// As smtptls_policy_add_tlsa(), from the wire form of its RDATA.
// SMTPTLS_ERR_ARGUMENT if that is shorter than its three fixed octets.
int smtptls_policy_add_tlsa_rdata(struct smtptls_policy *policy,
                                  const void *rdata,
                                  size_t len);

// As smtptls_policy_add_tlsa(), from the presentation form (RFC 6698 section
// 2.2): three numbers, then hex digits of either case with blanks anywhere
// between. SMTPTLS_ERR_ARGUMENT if it is something else.
int smtptls_policy_add_tlsa_text(struct smtptls_policy *policy,
                                 const char *text);

// Under DANE-TA also looks at the common name, of a certificate that has no
// subjectAltName (RFC 7672 section 3.2.3). Off by default, and never done
// otherwise (RFC 9525 section 2).
int smtptls_policy_allow_common_names(struct smtptls_policy *policy,
                                      bool allow);

// A new client session to a server. host is the name that the policy is
// about, in mail routing the MX host. A NULL policy is SMTPTLS_LEVEL_VERIFY.
// NULL when config or host is NULL, or when the configuration cannot be
// frozen: smtptls_config_freeze() says why. Any other mistake is reported by
// smtptls_session_start().
struct smtptls_session *smtptls_session_client(struct smtptls_config *config,
                                               const struct smtptls_policy *policy,
                                               const char *host);

// A new server session. A NULL policy is SMTPTLS_LEVEL_MAY: STARTTLS is
// offered and not required, as RFC 3207 section 4 asks of the MX hosts of a
// domain. SMTPTLS_LEVEL_ENCRYPT requires it, SMTPTLS_LEVEL_NONE does not offer
// it. NULL when config is NULL, or when it cannot be frozen:
// smtptls_config_freeze() says why.
struct smtptls_session *smtptls_session_server(struct smtptls_config *config,
                                               const struct smtptls_policy *policy);

// Frees a session. Sends nothing and closes no descriptor. NULL is fine.
void smtptls_session_free(struct smtptls_session *session);

// Reads from one descriptor and writes to another, or to the same one. mode
// is one of enum smtptls_mode. The descriptors stay yours: keep them open as
// long as the session is used; the library neither closes them nor changes
// their flags. On sockets no SIGPIPE is raised. Before
// smtptls_session_start(), or between calls: a program that moves its socket
// to another number attaches that one.
int smtptls_session_attach(struct smtptls_session *session,
                           int read_fd,
                           int write_fd,
                           int mode);

// SMTP, the default, or LMTP: one of enum smtptls_protocol. Before
// smtptls_session_start().
int smtptls_session_set_protocol(struct smtptls_session *session,
                                 int protocol);

// Sets a time limit in milliseconds; zero waits for ever. timeout is one of
// enum smtptls_timeout. Both are five minutes by default. They hold in every
// mode: without waiting, a call that can go no further when the time is over
// returns SMTPTLS_ERR_TIMEOUT. Limits that a socket has itself (SO_RCVTIMEO,
// SO_SNDTIMEO) are not looked at: the library waits by poll(2). In
// SMTPTLS_MODE_BLOCKING without a limit it need not, and a wait takes a system
// call less: for a program with an alarm of its own. Sessions without descriptors
// have no limits: the time is yours. A limit of smtptls_session_start() that is
// changed while that goes on counts from its first call that had one.
int smtptls_session_set_timeout(struct smtptls_session *session,
                                int timeout,
                                uint32_t milliseconds);

// Sets a point in time, so many milliseconds from now, by which all calls
// that follow have to be done, beside their own limits; zero takes it away.
int smtptls_session_set_deadline(struct smtptls_session *session,
                                 uint32_t milliseconds);

// Does what is left of the STARTTLS dialogue, then the TLS handshake, then
// the checks of the policy. entry is one of enum smtptls_entry.
//
// SMTPTLS_OK means one thing: TLS is up and the policy is met. After a
// failure smtptls_error_action() says what the policy lets you do.
//
// unread is how many bytes you have read from the peer beyond what entry
// says, and not used. It must be 0: anything else is a command injection
// and fails with SMTPTLS_ERR_PLAINTEXT_INJECTED before a byte is sent.
//
// After SMTPTLS_FROM_GREETING a client has said EHLO inside TLS, and
// smtptls_session_reply() is the answer. After SMTPTLS_FROM_COMMAND and
// SMTPTLS_FROM_HANDSHAKE go on with EHLO, as if the greeting had just come;
// a client's last handshake message may leave with it, so write first.
//
// A certificate that does not meet the policy comes out after the handshake,
// with its own code; leave with smtptls_session_refuse().
//
// After SMTPTLS_WANT_INPUT, SMTPTLS_WANT_OUTPUT or SMTPTLS_WANT_RETRY call
// again with the same arguments; after SMTPTLS_WANT_SIGNATURE too, once
// smtptls_session_set_signature() has answered. Without descriptors, send what
// smtptls_session_output() shows also after an error: it tells the peer.
SMTPTLS_MUST_USE
int smtptls_session_start(struct smtptls_session *session,
                          int entry,
                          size_t unread);

// Leaves politely after a failed start, or by your own choice, as RFC 3207
// section 4.1 asks: a client sends QUIT at once, in plaintext too if TLS did
// not begin; a server answers 554 to all but QUIT until the client leaves or
// the time is up. On a connection that cannot be used any more it does
// nothing. Then close the descriptors; the server's reply to QUIT is not
// waited for.
int smtptls_session_refuse(struct smtptls_session *session);

// Goes on although the policy is not met: the peer is not who it should be.
// A client must say EHLO next. SMTPTLS_ERR_STATE unless
// smtptls_session_start() has just failed over the peer's certificate: with a
// code from SMTPTLS_ERR_CERT_INVALID to SMTPTLS_ERR_DANE_MISMATCH.
int smtptls_session_insecure_continue(struct smtptls_session *session);

// Tells the peer that nothing more will be sent. how is one of enum
// smtptls_close. SMTPTLS_ERR_TRUNCATED if the peer had closed the connection
// without saying so, which in SMTP does no harm after the reply to QUIT.
int smtptls_session_close(struct smtptls_session *session, int how);

// For a server that starts from the greeting: a line of its EHLO reply
// before TLS, such as "SIZE 1000". PIPELINING, ENHANCEDSTATUSCODES and
// STARTTLS are there already. Before smtptls_session_start().
int smtptls_session_add_extension(struct smtptls_session *session,
                                  const char *line);

// For a server that starts from the command: the line that you have read. A
// parameter behind STARTTLS is answered with 501. Without this call the line
// was plainly STARTTLS. Before smtptls_session_start().
int smtptls_session_set_command(struct smtptls_session *session,
                                const char *line);

// For a server that starts from the greeting: the text behind its name, in
// place of "ESMTP" or "LMTP". Before smtptls_session_start().
int smtptls_session_set_greeting(struct smtptls_session *session,
                                 const char *text);

// For a server that cannot have TLS for now: STARTTLS is not offered, and
// answered with 454 (RFC 3207 section 4). Where it is required, other commands
// still get 530. Before smtptls_session_start().
int smtptls_session_set_not_now(struct smtptls_session *session);

// For a server: whether what a client sends in plaintext behind STARTTLS is
// dropped, as Postfix does, in place of 554 and an error. Either way it is never
// executed, and never becomes part of TLS. Before smtptls_session_start().
int smtptls_session_set_discard(struct smtptls_session *session,
                                bool discard);

// For a server that requires TLS: whether HELO, HELP and XCLIENT are exempt
// too, as in Postfix; RFC 3207 section 4 names NOOP, EHLO, STARTTLS and QUIT.
// XCLIENT is yours then: smtptls_session_start() hands it over. Before
// smtptls_session_start().
int smtptls_session_set_exempt_more(struct smtptls_session *session,
                                    bool exempt);

// For a server that starts from the handshake, as on port 465: what it says
// first inside TLS, such as "220 mx.example.com ESMTP" and CRLF. It leaves with
// the server's Finished, a round trip sooner than by smtptls_session_write()
// (0.5-RTT), where the client has TLS 1.3 and is asked for no certificate; else
// after the handshake. It goes to somebody who is not known yet. len is 1 to
// 2000. Before smtptls_session_start().
int smtptls_session_set_banner(struct smtptls_session *session,
                               const void *data,
                               size_t len);

// The last SMTP reply that a client received, its lines joined by "\n", or
// NULL. Valid until the next call on the session.
const char *smtptls_session_reply(struct smtptls_session *session);

// The last hello that a server answered in plaintext, as it came, such as
// "EHLO client.example", or NULL. Valid until the next call on the session.
const char *smtptls_session_hello(struct smtptls_session *session);

// Whether TLS is active: the handshake is done, and the session is not
// closed.
bool smtptls_session_is_tls(const struct smtptls_session *session);

// Whether the peer closed the connection without a close_notify.
bool smtptls_session_is_truncated(const struct smtptls_session *session);

// The facts of the TLS connection, or NULL before the handshake is done;
// also there if the policy is not met. They never change, and live as long
// as the session.
const struct smtptls_info *smtptls_session_info(const struct smtptls_session *session);

// What belongs into an SMTP TLS report (RFC 8460), one result for each index
// from 0: one of enum smtptls_tlsrpt, and SMTPTLS_TLSRPT_NONE past the last.
// A session that succeeded may have some too: what would have failed under an
// MTA-STS policy in mode testing, and TLSA records that are all unusable.
// Types are not exclusive (RFC 8460 section 4.3). *reason is the
// failure-reason-code, such as "dane-no-match"; static, and NULL past the
// last. reason may be NULL.
int smtptls_session_report(const struct smtptls_session *session,
                           size_t index,
                           const char **reason);

// Whether a message with REQUIRETLS may be sent through this session (RFC 8689
// section 4.2.1), SMTPTLS_OK or SMTPTLS_ERR_REQUIRETLS. It may if TLS is up;
// if the server is one that secure MX records or an MTA-STS policy name, or
// that the program was told to use (see smtptls_policy_set_next_hop()); if its
// certificate was verified by a trust chain or by DANE; and if it offered
// REQUIRETLS in its reply to the EHLO inside TLS, which is for you to say.
//
// The session goes on as before, whatever this returns. On an error,
// smtptls_session_error() is about this call until another one fails, and its
// smtptls_error_enhanced_status() is for the bounce if there is no other
// server to try: "5.7.30" where REQUIRETLS is not offered, "5.7.10" where the
// session is not good enough. Say QUIT and try the next server; other messages
// may go first. A bounce itself, with an empty return path, may be sent all
// the same.
int smtptls_session_check_requiretls(struct smtptls_session *session,
                                     bool offered);

// Why the last call that failed did so, or NULL if none has. Valid until the
// next call on the session that fails.
const struct smtptls_error *smtptls_session_error(const struct smtptls_session *session);

// How to sign, after SMTPTLS_WANT_SIGNATURE: the number of a signature scheme in
// IANA's registry (RFC 8446 section 4.2.3), such as 0x0403. 0 if no signature
// is wanted.
int smtptls_session_signature_scheme(const struct smtptls_session *session);

// The algorithm of that scheme by OpenSSL's name: "RSA-PSS", "RSA" for
// PKCS #1 v1.5, "ECDSA", "ED25519". NULL if no signature is wanted. Static.
const char *smtptls_session_signature_algorithm(const struct smtptls_session *session);

// The digest of that scheme, "SHA256"; with "RSA-PSS" of its mask too, and the
// salt is as long as the digest. NULL where it is part of the algorithm, and
// if no signature is wanted. Static.
const char *smtptls_session_signature_digest(const struct smtptls_session *session);

// What is to be signed: *message is set to the message itself, which the digest
// is to be made of, and its length is returned; NULL and 0 if no signature is
// wanted. Valid until smtptls_session_set_signature() returns SMTPTLS_OK.
// message may be NULL.
size_t smtptls_session_signature_message(const struct smtptls_session *session,
                                         const uint8_t **message);

// Whose key is to sign: *certificate is set to the certificate in DER, and its
// length is returned; NULL and 0 if no signature is wanted. Valid as long as
// the message is. certificate may be NULL.
size_t smtptls_session_signature_certificate(const struct smtptls_session *session,
                                             const uint8_t **certificate);

// Gives the signature after SMTPTLS_WANT_SIGNATURE, as TLS has it: for ECDSA in
// DER. Then call smtptls_session_start() again; it may ask once more, if key
// pairs were exchanged meanwhile. SMTPTLS_ERR_KEY_MISMATCH if it is not one of
// the message with the key of the certificate: try again, or give up.
// SMTPTLS_ERR_STATE if no signature is wanted.
int smtptls_session_set_signature(struct smtptls_session *session,
                                  const void *signature,
                                  size_t len);

// Reads decrypted bytes: how many, 0 at the end, or a negative code. The end
// is 0 with and without a close_notify: SMTP frames itself, and
// smtptls_session_is_truncated() tells which it was. After
// SMTPTLS_ERR_TIMEOUT the session is as it was.
SMTPTLS_MUST_USE
ptrdiff_t smtptls_session_read(struct smtptls_session *session,
                               void *buf,
                               size_t len);

// Writes buf and returns how many bytes were taken, or a negative code. In mode
// SMTPTLS_MODE_BLOCKING that is all of len, and it has been sent. In the others
// it may be less, and what was taken leaves with the next call; then call
// again with the rest, which may have moved. After SMTPTLS_ERR_TIMEOUT it is
// not known how much has left, so there is nothing to do but to close.
//
// With more, the bytes may wait for those of the next write and leave in one
// TLS record with them. A write without more, smtptls_session_flush(),
// smtptls_session_read() and smtptls_session_close() let them go.
SMTPTLS_MUST_USE
ptrdiff_t smtptls_session_write(struct smtptls_session *session,
                                const void *buf,
                                size_t len,
                                bool more);

// Sends whatever waits to be sent.
int smtptls_session_flush(struct smtptls_session *session);

// How many bytes smtptls_session_read() can return without reading from the
// peer. Look here before you wait for a descriptor.
size_t smtptls_session_pending(struct smtptls_session *session);

// Without descriptors: takes bytes that came from the peer, and returns how
// many; fewer than len only while much waits to be read. A len of 0 means
// that the peer closed the connection, as with recv(2).
ptrdiff_t smtptls_session_feed(struct smtptls_session *session,
                               const void *buf,
                               size_t len);

// Without descriptors: says that the time that you allow has run out, and returns
// what follows from it: SMTPTLS_ERR_TIMEOUT, or the code with which the session had
// failed already. In smtptls_session_start() that is final, and there and in
// smtptls_session_refuse() a client that was to send a command gets 421, which
// smtptls_session_output() shows. Elsewhere the session is as it was.
int smtptls_session_expire(struct smtptls_session *session);

// Without descriptors: shows the bytes to send to the peer and returns how
// many there are. They stay in the session until smtptls_session_sent(), and
// *data is valid until the next call on the session.
size_t smtptls_session_output(const struct smtptls_session *session,
                              const uint8_t **data);

// Without descriptors: drops the first len bytes of the output; they were
// sent.
void smtptls_session_sent(struct smtptls_session *session, size_t len);

// Bytes that came from the peer and are yours, and how many there are. On a
// server after SMTPTLS_ERR_NOT_REQUESTED: the command with which the client
// went on in plaintext, and what followed. After the peer's close_notify:
// what followed that. *data is valid until the next call on the session.
size_t smtptls_session_leftover(const struct smtptls_session *session,
                                const uint8_t **data);

// A new sts, without a policy. NULL only when out of memory.
struct smtptls_sts *smtptls_sts_new(void);

// Frees an sts. A policy that it was given to keeps a copy. NULL is fine.
void smtptls_sts_free(struct smtptls_sts *sts);

// Why the last smtptls_sts_parse() or smtptls_sts_record() failed, or NULL if
// it did not. Valid until the next of them on this sts.
const struct smtptls_error *smtptls_sts_error(const struct smtptls_sts *sts);

// Reads the text of a policy (RFC 8461 section 3.2), with lines that end in
// CRLF or LF. Of keys that stand twice the first counts, but of "mx"; unknown
// ones are passed over. SMTPTLS_ERR_STS_INVALID if it cannot be used; then a
// policy that was read before stays.
int smtptls_sts_parse(struct smtptls_sts *sts, const void *text, size_t len);

// What the policy demands, one of enum smtptls_sts_mode. SMTPTLS_STS_NONE
// without a policy.
int smtptls_sts_mode(const struct smtptls_sts *sts);

// For how many seconds after it was fetched the policy may be used: at most a
// year.
uint64_t smtptls_sts_max_age(const struct smtptls_sts *sts);

// A pattern for MX hosts, in lower case: a host name, or "*." before a domain.
// NULL past the last. Valid until the next smtptls_sts_parse() on this sts.
const char *smtptls_sts_mx(const struct smtptls_sts *sts, size_t index);

// Whether a pattern fits this MX host (RFC 8461 section 4.1): "*." stands for
// exactly one label.
bool smtptls_sts_matches(const struct smtptls_sts *sts, const char *host);

// Whether the policy may still be used, by times in seconds since 1970. A
// policy from the future may.
bool smtptls_sts_is_current(const struct smtptls_sts *sts,
                            uint64_t fetched,
                            uint64_t now);

// Whether it is time to fetch the policy again, so that it does not run out
// unseen (RFC 8461 section 3.3): after a day, or after half of its time if that
// is shorter; also if fetched is as far ahead of now, since then a clock was
// wrong. False without a policy: there is nothing to renew.
bool smtptls_sts_needs_refresh(const struct smtptls_sts *sts,
                               uint64_t fetched,
                               uint64_t now);

// Finds the one record for MTA-STS among the TXT records of
// "_mta-sts.<domain>", each with its strings joined (RFC 8461 section 3.1).
// Returns 1, and at *id what changes when the policy changes; it belongs to
// sts until the next call of this function. 0 and NULL if no record is for
// MTA-STS. SMTPTLS_ERR_STS_INVALID if there are several, or a malformed one,
// which means the same to a sender: no policy is discovered, and a kept one
// stays valid. id may be NULL.
int smtptls_sts_record(struct smtptls_sts *sts,
                       const char *const *records,
                       size_t count,
                       const char **id);

// The name of a code, such as "SMTPTLS_ERR_CERT_NAME". Never NULL, static;
// the names never change, so they are safe to log, match and count.
// "SMTPTLS_ERR_UNKNOWN" for a number that is none.
const char *smtptls_code_name(int code);

// The name of an action, such as "next-host", or NULL. Static.
const char *smtptls_action_name(int action);

// The name of a level as in mail server configuration files ("encrypt"),
// or NULL. Static.
const char *smtptls_level_name(int level);

// The level of that name, or SMTPTLS_ERR_ARGUMENT.
int smtptls_level_from_name(const char *name);

// The name of a way to authenticate a peer, such as "dane-ta", or NULL.
// Static.
const char *smtptls_auth_name(int auth);

// The one of enum smtptls_dnssec of that name, such as "secure", or
// SMTPTLS_ERR_ARGUMENT.
int smtptls_dnssec_from_name(const char *name);

// The version of the library in use, such as "0.1.0". Static.
const char *smtptls_version(void);

// Whether a program compiled against this version can use the library it
// runs with. Call it once as
// smtptls_version_check(SMTPTLS_VERSION_MAJOR, SMTPTLS_VERSION_MINOR).
bool smtptls_version_check(int major, int minor);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SMTPTLS_H */
