// SPDX-License-Identifier: Apache-2.0
#include "domain/commands.hpp"
#include "domain/manager.hpp"

namespace octavo::domain {
namespace {

void accounts_row(Answer& answer, Domain& domain) {
  const pod::Accounts a = domain.pod().accounts();
  const auto bytes = [&answer](const char* name, u64 frames) { answer.field_bytes(name, frames << k_page_shift); };
  answer.begin_row();
  answer.field("domain", domain.name());
  bytes("populated", a.populated);
  bytes("cache_4k", a.cache[0]);
  bytes("cache_2m", a.cache[1]);
  bytes("cache_1g", a.cache[2]);
  bytes("entries", a.entries);
  bytes("target", a.target);
  bytes("pending", a.pending);
  bytes("transit", a.in_transit);
  bytes("maximum", a.maximum);
  answer.end_row();
}
}  // namespace

void pod(Words words, Answer& answer) {
  Domain* const only = words.size() > 1 ? named_domain(words, answer) : nullptr;
  if (words.size() > 1 && only == nullptr) return;
  answer.ok(words[0]);
  answer.begin_rows("pod");
  if (only != nullptr) accounts_row(answer, *only);
  else manager().for_each([&](Domain& domain) { accounts_row(answer, domain); });
  answer.end_rows();
}

void target(Words words, Answer& answer) {
  Domain* const domain = named_domain(words, answer);
  if (domain == nullptr) return;
  const std::optional<u64> size = parse_size(words[2]);
  if (!size || *size == 0 || *size % k_page_size != 0) return answer.failed(words[0], "a size is a multiple of 4K, like 512M or 2G");
  const Result<pod::Pod::Reply> reply = manager().set_target(*domain, *size >> k_page_shift);
  if (!reply) {
    char text[128];
    BufferSink why{text};
    if (reply.error() == Error::invalid_argument) format(why, "its maximum is {}M", domain->config().maximum_memory >> 20);
    else if (reply.error() == Error::out_of_memory) format(why, "the machine has not so much: {}M are free", mm::machine().statistics().free_frames() >> 8);
    else format(why, "{}", reply.error());
    return answer.failed(words[0], why.view());
  }
  domain->memory_arrived();
  answer.ok(words[0]);
  answer.begin_rows("targets");
  answer.begin_row();
  answer.field("domain", domain->name());
  answer.field_bytes("target", *size);
  answer.field_bytes("added", reply->added << k_page_shift);
  answer.field_bytes("freed", reply->freed << k_page_shift);
  answer.field_bytes("pending", reply->pending << k_page_shift);
  answer.end_row();
  answer.end_rows();
}
}  // namespace octavo::domain
