/* The C library under calls in any order: each octet of the input names a call, and the octets behind it its arguments.
 *
 * There are four slots for each kind of object. A slot may be empty, and its object is then NULL. What a call returns as
 * text or octets is read from end to end, so that AddressSanitizer sees what is too short or was freed. What the header
 * forbids is not done: an object that was freed is not used again.
 *
 * Sessions 0 and 1 can be attached to the two ends of one wire, 2 and 3 to those of another. What is then fed to a session
 * is written behind what the other one has said, and what is taken from it is what the other one would have read.
 */
#include <fcntl.h>
#include <poll.h>
#include <smtptls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOTS = 4, ROOM = 1 << 16 };

struct input {
  const uint8_t *at;
  size_t left;
};

static struct smtptls_config *configs[SLOTS];
static struct smtptls_policy *policies[SLOTS];
static struct smtptls_session *sessions[SLOTS];
static struct smtptls_sts *stses[SLOTS];
/* Both are one socket, or the ends of two pipes; flags are what fcntl said of them. Sockets where reading and writing are
 * the same number. Nothing is open where opened is false. */
static struct {
  int reading, writing, flags;
  bool opened, attached;
} ends[SLOTS];
static volatile uint8_t sink;

void fuzz_c_api(const uint8_t *data, size_t length, const uint8_t *const *pem, const size_t *lengths);

static uint8_t octet(struct input *in) {
  if (in->left == 0)
    return 0;
  in->left--;
  return *in->at++;
}

/* Small numbers, those near them, and the ends of their range. */
static int number(struct input *in) {
  uint8_t n = octet(in);
  if (n == 255)
    return INT32_MAX;
  if (n == 254)
    return INT32_MIN;
  if (n == 253)
    return SMTPTLS_TLS1_2;
  if (n == 252)
    return SMTPTLS_TLS1_3;
  return (int)n % 16 - 2;
}

static size_t size(struct input *in) {
  uint8_t n = octet(in);
  return n < 128 ? n : (size_t)1 << (n % 17);
}

/* A copy that ends where it ends, for AddressSanitizer; NULL where the input says so. With text it ends with NUL. */
static char *piece(struct input *in, size_t *length, bool text) {
  size_t n = octet(in);
  char *copy;
  if (length != NULL)
    *length = 0;
  if (n == 255)
    return NULL;
  if (n > in->left)
    n = in->left;
  copy = malloc(n + text + (n + text == 0));
  if (copy == NULL)
    abort();
  memcpy(copy, in->at, n);
  if (text)
    copy[n] = '\0';
  in->at += n;
  in->left -= n;
  if (length != NULL)
    *length = n;
  return copy;
}

static void see(const void *data, size_t length) {
  size_t i;
  for (i = 0; i < length; i++)
    sink ^= ((const uint8_t *)data)[i];
  if (data == NULL && length > 0)
    abort();
}

static void text(const char *text) {
  if (text != NULL)
    see(text, strlen(text) + 1);
}

static void error(const struct smtptls_error *error) {
  const char *message = smtptls_error_message(error);
  if (message == NULL)
    abort();
  text(message);
  text(smtptls_code_name(smtptls_error_code(error)));
  text(smtptls_action_name(smtptls_error_action(error)));
  text(smtptls_error_enhanced_status(error));
  text(smtptls_error_tlsrpt_name(error));
  text(smtptls_error_tlsrpt_reason(error));
  sink ^= (uint8_t)(smtptls_error_os(error) + smtptls_error_alert(error) + smtptls_error_temporary(error) +
                    smtptls_error_tlsrpt(error));
  if (smtptls_error_code(error) == SMTPTLS_ERR_INTERNAL)
    abort();
}

static void info(const struct smtptls_info *info, struct input *in) {
  size_t length = 0, i;
  const uint8_t *bytes;
  text(smtptls_info_summary(info));
  text(smtptls_info_version(info));
  text(smtptls_info_cipher(info));
  text(smtptls_info_cipher_openssl(info));
  text(smtptls_info_exim_cipher(info));
  text(smtptls_info_group(info));
  text(smtptls_info_server_signature(info));
  text(smtptls_info_server_digest(info));
  text(smtptls_info_client_signature(info));
  text(smtptls_info_client_digest(info));
  text(smtptls_info_server_name(info));
  text(smtptls_info_matched_name(info));
  text(smtptls_info_doubt(info));
  text(smtptls_info_matched_tlsa(info));
  text(smtptls_info_matched_fingerprint(info));
  text(smtptls_info_received_clause(info));
  text(smtptls_info_received_client(info));
  text(smtptls_info_peer_chain_pem(info));
  text(smtptls_info_peer_subject(info));
  text(smtptls_info_peer_issuer(info));
  text(smtptls_info_peer_common_name(info));
  text(smtptls_info_peer_issuer_common_name(info));
  text(smtptls_info_peer_serial(info));
  text(smtptls_info_peer_key_algorithm(info));
  text(smtptls_info_peer_fingerprint(info, number(in), number(in)));
  text(smtptls_auth_name(smtptls_info_auth(info)));
  text(smtptls_level_name(smtptls_info_level(info)));
  for (i = 0; i < 3; i++) {
    text(smtptls_info_peer_name(info, i));
    bytes = smtptls_info_peer_cert(info, i, &length);
    if (bytes != NULL)
      see(bytes, length);
  }
  (void)smtptls_info_peer_cert(info, SIZE_MAX, NULL);
  if ((bytes = smtptls_info_alpn(info, &length)) != NULL)
    see(bytes, length);
  if ((bytes = smtptls_info_channel_binding(info, &length)) != NULL)
    see(bytes, length);
  if ((bytes = smtptls_info_server_end_point(info, &length)) != NULL)
    see(bytes, length);
  sink ^= (uint8_t)(smtptls_info_cipher_bits(info) + smtptls_info_resumed(info) + smtptls_info_secured(info) +
                    smtptls_info_certificate_present(info) + smtptls_info_trusted(info) +
                    smtptls_info_name_matched(info) + smtptls_info_doubt_depth(info) + smtptls_info_tlsa_depth(info) +
                    smtptls_info_peer_not_before(info) + smtptls_info_peer_not_after(info) +
                    smtptls_info_peer_key_bits(info));
  bytes = smtptls_info_to_bytes(info, &length);
  if (bytes != NULL) {
    struct smtptls_info *copy = smtptls_info_from_bytes(bytes, length);
    if (copy == NULL)
      abort();
    text(smtptls_info_summary(copy));
    smtptls_info_free(copy);
  }
}

static void on_config(struct input *in, const uint8_t *const *pem, const size_t *lengths) {
  int slot = octet(in) % SLOTS, other = octet(in) % SLOTS;
  struct smtptls_config *config = configs[slot];
  size_t length, more;
  char *a, *b;
  switch (octet(in) % 28) {
  case 0:
    if (config == NULL)
      configs[slot] = smtptls_config_new();
    return;
  case 1:
    smtptls_config_free(config);
    configs[slot] = NULL;
    return;
  case 2:
    (void)smtptls_config_freeze(config);
    break;
  case 3:
    a = piece(in, NULL, true);
    (void)smtptls_config_set_hostname(config, a);
    free(a);
    break;
  case 4:
    (void)smtptls_config_add_roots_pem(config, pem[4], lengths[4]);
    break;
  case 5:
    a = piece(in, &length, false);
    (void)smtptls_config_add_roots_pem(config, a, length);
    free(a);
    break;
  case 6:
    (void)smtptls_config_add_crl_pem(config, pem[5], lengths[5]);
    break;
  case 7:
    a = piece(in, &length, false);
    (void)smtptls_config_add_crl_pem(config, a, length);
    free(a);
    break;
  case 8:
    (void)smtptls_config_set_client_sessions(config, size(in));
    break;
  case 9:
  case 10:
    (void)smtptls_config_add_keypair_pem(config, pem[0], lengths[0], pem[1], lengths[1]);
    break;
  case 11:
    (void)smtptls_config_add_keypair_pem(config, pem[2], lengths[2], pem[3], lengths[3]);
    break;
  case 12:
    a = piece(in, &length, false);
    b = piece(in, &more, false);
    (void)smtptls_config_add_keypair_pem(config, a, length, b, more);
    free(a);
    free(b);
    break;
  case 13:
    (void)smtptls_config_add_certificate_pem(config, pem[0], lengths[0]);
    break;
  case 14:
    a = piece(in, NULL, true);
    (void)smtptls_config_add_keypair_name(config, a);
    free(a);
    break;
  case 15:
    (void)smtptls_config_set_client_auth(config, number(in), octet(in) & 1);
    break;
  case 16: {
    const char *protocols[2];
    a = piece(in, NULL, true);
    b = piece(in, NULL, true);
    protocols[0] = a;
    protocols[1] = b;
    (void)smtptls_config_set_alpn(config, protocols, octet(in) % 3);
    (void)smtptls_config_set_alpn(config, NULL, octet(in) % 3);
    free(a);
    free(b);
    break;
  }
  case 17:
    (void)smtptls_config_reload_keypairs(config);
    break;
  case 18:
    if (config != configs[other])
      (void)smtptls_config_replace_keypairs(config, configs[other]);
    break;
  case 19:
    (void)smtptls_config_reload_ticket_keys(config);
    break;
  case 20: {
    uint8_t keys[64] = {1, 2, 3};
    keys[40] = octet(in);
    (void)smtptls_config_set_ticket_keys(config, keys, octet(in) % 3);
    break;
  }
  case 21:
    (void)smtptls_config_set_min_version(config, number(in));
    (void)smtptls_config_set_max_version(config, number(in));
    break;
  case 22:
    a = piece(in, NULL, true);
    (void)smtptls_config_set_ciphers(config, a);
    text(smtptls_config_unknown(config, 0));
    (void)smtptls_config_set_groups(config, a);
    text(smtptls_config_unknown(config, size(in)));
    free(a);
    break;
  case 23:
    a = piece(in, NULL, true);
    (void)smtptls_config_set_service(config, a);
    free(a);
    break;
  case 24:
    (void)smtptls_config_set_ticket_lifetime(config, (uint32_t)number(in));
    (void)smtptls_config_set_tickets(config, size(in));
    break;
  case 25:
    a = piece(in, NULL, true);
    /* A path of the fuzzer's choice may be a device that never ends. */
    (void)smtptls_config_add_roots_file(config, a == NULL ? NULL : "/nonexistent");
    (void)smtptls_config_set_ocsp_file(config, a == NULL ? NULL : "/nonexistent");
    free(a);
    break;
  case 26:
    a = piece(in, &length, false);
    (void)smtptls_config_add_certificate_pem(config, a, length);
    free(a);
    break;
  default:
    (void)smtptls_config_set_ticket_key_file(config, "/nonexistent");
    break;
  }
  error(smtptls_config_error(config));
}

static void on_policy(struct input *in) {
  int slot = octet(in) % SLOTS;
  struct smtptls_policy *policy = policies[slot];
  size_t length;
  char *a, *b;
  switch (octet(in) % 16) {
  case 0:
  case 1:
    if (policy == NULL)
      policies[slot] = smtptls_policy_new(number(in));
    return;
  case 2:
    smtptls_policy_free(policy);
    policies[slot] = NULL;
    return;
  case 3:
    a = piece(in, NULL, true);
    (void)smtptls_policy_add_name(policy, a);
    free(a);
    break;
  case 4:
    (void)smtptls_policy_set_insecure_any_name(policy, octet(in) & 1);
    break;
  case 5:
    a = piece(in, NULL, true);
    (void)smtptls_policy_set_sni(policy, a);
    free(a);
    break;
  case 6:
    a = piece(in, NULL, true);
    (void)smtptls_policy_add_fingerprint(policy, number(in), a);
    free(a);
    break;
  case 7:
    (void)smtptls_policy_set_sts(policy, stses[octet(in) % SLOTS]);
    break;
  case 8:
    (void)smtptls_policy_set_tls_optional(policy, octet(in) & 1);
    break;
  case 9:
    a = piece(in, NULL, true);
    text(smtptls_level_name(smtptls_policy_effective_level(policy, a)));
    free(a);
    break;
  case 10:
    a = piece(in, NULL, true);
    b = piece(in, NULL, true);
    (void)smtptls_policy_set_next_hop(policy, a, b, number(in));
    free(a);
    free(b);
    break;
  case 11:
    (void)smtptls_policy_set_address_dnssec(policy, number(in));
    break;
  case 12:
    a = piece(in, NULL, true);
    (void)smtptls_policy_set_tlsa(policy, a, number(in));
    free(a);
    break;
  case 13:
    a = piece(in, &length, false);
    (void)smtptls_policy_add_tlsa(policy, octet(in), octet(in), octet(in), a, length);
    (void)smtptls_policy_add_tlsa_rdata(policy, a, length);
    free(a);
    break;
  case 14:
    a = piece(in, NULL, true);
    (void)smtptls_policy_add_tlsa_text(policy, a);
    free(a);
    break;
  default:
    (void)smtptls_policy_allow_common_names(policy, octet(in) & 1);
    break;
  }
  error(smtptls_policy_error(policy));
}

/* Carries octets between two sessions, up to a count, until both are quiet; a wire does that itself. */
static void carry(struct smtptls_session *one, struct smtptls_session *other, int entry, bool wire) {
  int round;
  for (round = 0; round < (wire ? 6 : 20); round++) {
    int side, moved = 0;
    for (side = 0; side < 2; side++) {
      struct smtptls_session *from = side ? one : other, *to = side ? other : one;
      const uint8_t *data;
      size_t length;
      ptrdiff_t taken;
      if (smtptls_session_start(from, entry, 0) == SMTPTLS_OK)
        (void)smtptls_session_flush(from);
      length = smtptls_session_output(from, &data);
      if (length == 0)
        continue;
      see(data, length);
      taken = smtptls_session_feed(to, data, length);
      if (taken > (ptrdiff_t)length)
        abort();
      if (taken > 0) {
        smtptls_session_sent(from, (size_t)taken);
        moved = 1;
      }
    }
    if (!moved && !wire)
      return;
  }
}

/* Makes the wire on which a slot has one end, if there is none. */
static void open_wire(int slot, bool pipes, bool nonblocking) {
  int one = slot & ~1, end, there[2], back[2];
  if (ends[slot].opened)
    return;
  if (pipes ? pipe(there) != 0 || pipe(back) != 0 : socketpair(AF_UNIX, SOCK_STREAM, 0, there) != 0)
    abort();
  ends[one].reading = there[0];
  ends[one].writing = pipes ? back[1] : there[0];
  ends[one + 1].reading = pipes ? back[0] : there[1];
  ends[one + 1].writing = there[1];
  for (end = one; end < one + 2; end++) {
    ends[end].opened = true;
    if (nonblocking && fcntl(ends[end].reading, F_SETFL, O_NONBLOCK) != 0)
      abort();
    ends[end].flags = fcntl(ends[end].reading, F_GETFL);
  }
}

/* The library neither closes a descriptor nor changes its flags. */
static void close_wires(void) {
  int end;
  for (end = 0; end < SLOTS; end++) {
    if (!ends[end].opened)
      continue;
    if (fcntl(ends[end].reading, F_GETFL) != ends[end].flags || close(ends[end].reading) != 0)
      abort();
    if (ends[end].writing != ends[end].reading && close(ends[end].writing) != 0)
      abort();
    memset(&ends[end], 0, sizeof ends[end]);
  }
}

static bool ready(int descriptor, short events) {
  struct pollfd wanted = {descriptor, events, 0};
  return poll(&wanted, 1, 0) == 1 && (wanted.revents & events) != 0;
}

/* Octets for the session of a slot from somebody else than the other end, or the end of what comes. */
static void inject(int slot, const void *data, size_t length) {
  int far = slot ^ 1;
  if (ends[far].reading != ends[far].writing) {
    if (length > 0 && ready(ends[far].writing, POLLOUT))
      (void)!write(ends[far].writing, data, length);
  } else if (length > 0)
    (void)!send(ends[far].writing, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  else
    (void)shutdown(ends[far].writing, SHUT_WR);
}

/* Takes away what the session of a slot has said, or leaves nobody who will read more. */
static void take(int slot, size_t length) {
  uint8_t buffer[256];
  int far = slot ^ 1;
  if (length == 0 && ends[far].reading == ends[far].writing)
    (void)shutdown(ends[far].reading, SHUT_RD);
  else if (ready(ends[far].reading, POLLIN))
    (void)!read(ends[far].reading, buffer, length < sizeof buffer ? length : sizeof buffer);
}

/* Attaches the session to its end of the wire, or to nothing that can be. No call that waits does so for more than a
 * millisecond; without waiting there is the time that a handshake takes.
 */
static int attach(struct input *in, int slot) {
  uint8_t how = octet(in);
  int mode = number(in), result;
  if (how % 4 == 0)
    return smtptls_session_attach(sessions[slot], -1 - (how & 8), -1, mode);
  open_wire(slot, how & 16, how & 32);
  (void)smtptls_session_set_timeout(sessions[slot], SMTPTLS_TIMEOUT_START, mode == SMTPTLS_MODE_NONBLOCKING ? 0 : 1);
  (void)smtptls_session_set_timeout(sessions[slot], SMTPTLS_TIMEOUT_IO, 1);
  result = smtptls_session_attach(sessions[slot], ends[slot].reading, ends[slot].writing, mode);
  ends[slot].attached |= result == SMTPTLS_OK;
  return result;
}

static void on_session(struct input *in) {
  int slot = octet(in) % SLOTS, other = octet(in) % SLOTS;
  struct smtptls_session *session = sessions[slot];
  const uint8_t *data;
  size_t length;
  ptrdiff_t done;
  char *a;
  switch (octet(in) % 27) {
  case 0:
  case 1:
    if (session == NULL) {
      a = piece(in, NULL, true);
      sessions[slot] = smtptls_session_client(configs[other], policies[octet(in) % SLOTS], a);
      free(a);
    }
    return;
  case 2:
  case 3:
    if (session == NULL)
      sessions[slot] = smtptls_session_server(configs[other], policies[octet(in) % SLOTS]);
    return;
  case 4:
    smtptls_session_free(session);
    sessions[slot] = NULL;
    ends[slot].attached = false;
    return;
  case 5:
    (void)attach(in, slot);
    break;
  case 6:
    (void)smtptls_session_set_protocol(session, number(in));
    break;
  case 7:
    (void)smtptls_session_set_timeout(session, number(in), 1);
    (void)smtptls_session_set_deadline(session, octet(in));
    break;
  case 8: {
    int result = smtptls_session_start(session, number(in), octet(in) == 7 ? SIZE_MAX : 0);
    /* SMTPTLS_OK means one thing. */
    if (result == SMTPTLS_OK && (!smtptls_session_is_tls(session) || smtptls_session_info(session) == NULL))
      abort();
    break;
  }
  case 9:
    (void)smtptls_session_refuse(session);
    break;
  case 10:
    (void)smtptls_session_insecure_continue(session);
    break;
  case 11:
    (void)smtptls_session_close(session, number(in));
    break;
  case 12:
    a = piece(in, NULL, true);
    (void)smtptls_session_add_extension(session, a);
    (void)smtptls_session_set_greeting(session, a);
    (void)smtptls_session_set_command(session, a);
    free(a);
    break;
  case 13:
    (void)smtptls_session_set_not_now(session);
    break;
  case 14:
    (void)smtptls_session_set_discard(session, octet(in) & 1);
    (void)smtptls_session_set_exempt_more(session, octet(in) & 1);
    break;
  case 15:
    a = piece(in, &length, false);
    (void)smtptls_session_set_banner(session, a, length);
    free(a);
    break;
  case 16:
    text(smtptls_session_reply(session));
    text(smtptls_session_hello(session));
    if (smtptls_session_info(session) != NULL || octet(in) % 4 == 0)
      info(smtptls_session_info(session), in);
    return;
  case 17: {
    const char *reason = NULL;
    text(smtptls_code_name(smtptls_session_report(session, octet(in), &reason)));
    text(reason);
    (void)smtptls_session_report(session, 0, NULL);
    (void)smtptls_session_check_requiretls(session, octet(in) & 1);
    break;
  }
  case 18:
    text(smtptls_session_signature_algorithm(session));
    text(smtptls_session_signature_digest(session));
    (void)smtptls_session_signature_scheme(session);
    length = smtptls_session_signature_message(session, &data);
    see(data, length);
    length = smtptls_session_signature_certificate(session, &data);
    see(data, length);
    a = piece(in, &length, false);
    (void)smtptls_session_set_signature(session, a, length);
    free(a);
    break;
  case 19:
    length = size(in);
    a = malloc(length + 1);
    if (a == NULL)
      abort();
    done = smtptls_session_read(session, octet(in) == 7 ? NULL : a, length);
    if (done > 0)
      see(a, (size_t)done);
    free(a);
    break;
  case 20: {
    static const char words[ROOM];
    (void)!smtptls_session_write(session, octet(in) == 7 ? NULL : words, size(in) % ROOM, octet(in) & 1);
    break;
  }
  case 21:
    (void)smtptls_session_flush(session);
    (void)smtptls_session_pending(session);
    break;
  case 22:
    a = piece(in, &length, false);
    if (ends[slot].attached)
      inject(slot, a, length);
    else
      (void)smtptls_session_feed(session, a, length);
    free(a);
    break;
  case 23:
    if (ends[slot].attached) {
      take(slot, size(in));
      break;
    }
    length = smtptls_session_output(session, octet(in) == 7 ? NULL : &data);
    (void)smtptls_session_output(session, &data);
    see(data, length);
    smtptls_session_sent(session, octet(in) == 7 ? SIZE_MAX : size(in));
    break;
  case 24:
    length = smtptls_session_leftover(session, &data);
    see(data, length);
    break;
  case 26:
    (void)smtptls_session_expire(session);
    break;
  default:
    if (session != sessions[other])
      carry(session, sessions[other], octet(in) % 3, ends[slot].attached && ends[other].attached);
    break;
  }
  error(smtptls_session_error(session));
}

static void on_sts(struct input *in) {
  int slot = octet(in) % SLOTS;
  struct smtptls_sts *sts = stses[slot];
  const char *id = NULL;
  size_t length;
  char *a;
  switch (octet(in) % 6) {
  case 0:
    if (sts == NULL)
      stses[slot] = smtptls_sts_new();
    return;
  case 1:
    smtptls_sts_free(sts);
    stses[slot] = NULL;
    return;
  case 2:
  case 3:
    a = piece(in, &length, false);
    (void)smtptls_sts_parse(sts, a, length);
    free(a);
    break;
  case 4: {
    const char *records[2];
    a = piece(in, NULL, true);
    records[0] = records[1] = a;
    (void)smtptls_sts_record(sts, records, octet(in) % 3, octet(in) == 7 ? NULL : &id);
    text(id);
    free(a);
    break;
  }
  default:
    a = piece(in, NULL, true);
    sink ^= (uint8_t)(smtptls_sts_matches(sts, a) + smtptls_sts_mode(sts) + (int)smtptls_sts_max_age(sts) +
                      smtptls_sts_is_current(sts, octet(in), octet(in)) +
                      smtptls_sts_needs_refresh(sts, octet(in), UINT64_MAX) + smtptls_dnssec_from_name(a) +
                      smtptls_level_from_name(a));
    text(smtptls_sts_mx(sts, 0));
    text(smtptls_sts_mx(sts, size(in)));
    free(a);
    break;
  }
  error(smtptls_sts_error(sts));
}

void fuzz_c_api(const uint8_t *data, size_t length, const uint8_t *const *pem, const size_t *lengths) {
  struct input in = {data, length};
  int i, order;
  while (in.left > 0) {
    switch (octet(&in) % 8) {
    case 0:
    case 1:
      on_config(&in, pem, lengths);
      break;
    case 2:
      on_policy(&in);
      break;
    case 3: {
      size_t size;
      char *bytes = piece(&in, &size, false);
      struct smtptls_info *made = smtptls_info_from_bytes(bytes, size);
      free(bytes);
      if (made != NULL)
        info(made, &in);
      smtptls_info_free(made);
      break;
    }
    case 4:
      on_sts(&in);
      break;
    default:
      on_session(&in);
      break;
    }
  }
  /* Free anything in any order. */
  for (order = octet(&in), i = 0; i < SLOTS; i++) {
    int first = (i + (int)(length % SLOTS) + order) % SLOTS;
    if (length & 4) {
      smtptls_config_free(configs[first]);
      smtptls_policy_free(policies[first]);
      configs[first] = NULL;
      policies[first] = NULL;
    }
  }
  for (i = 0; i < SLOTS; i++) {
    smtptls_session_free(sessions[i]);
    smtptls_sts_free(stses[i]);
    smtptls_config_free(configs[i]);
    smtptls_policy_free(policies[i]);
    sessions[i] = NULL;
    stses[i] = NULL;
    configs[i] = NULL;
    policies[i] = NULL;
  }
  close_wires();
}
