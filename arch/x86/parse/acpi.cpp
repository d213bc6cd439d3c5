// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/parse/acpi.hpp"

#include <string_view>

namespace octavo::arch::acpi {
namespace {
bool has_text(Bytes bytes, u64 at, std::string_view text) {
  const auto found = slice(bytes, at, text.size());
  return found && std::string_view{reinterpret_cast<const char*>(found->data()), found->size()} == text;
}

// MPS INTI flags: 0 = as the bus has it (ISA: edge, active high).
Polarity polarity_of(u16 flags) { return (flags & 3) == 3 ? Polarity::low : Polarity::high; }
Trigger trigger_of(u16 flags) { return (flags >> 2 & 3) == 3 ? Trigger::level : Trigger::edge; }

void add_cpu(Madt& madt, u32 apic_id, u32 flags) {
  if ((flags & 1) == 0) return;  // not enabled; "online capable" ones would be hot-plugged
  for (usize i = 0; i < madt.cpu_count; ++i) {
    if (madt.apic_ids[i] == apic_id) return;  // some firmware lists a CPU in both forms
  }
  if (madt.cpu_count == k_max_cpus) { ++madt.cpus_ignored; return; }
  madt.apic_ids[madt.cpu_count++] = apic_id;
}

Result<> parse_madt_entry(Madt& madt, u8 type, Bytes entry) {
  enum : u8 { local_apic = 0, io_apic = 1, override = 2, local_apic_address = 5, local_x2apic = 9 };
  switch (type) {
    case local_apic: {
      const auto id = read_at<u8>(entry, 3);
      const auto flags = read_at<u32>(entry, 4);
      if (!id || !flags) return fail(Error::corrupt);
      add_cpu(madt, *id, *flags);
      break;
    }
    case io_apic: {
      const auto id = read_at<u8>(entry, 2);
      const auto address = read_at<u32>(entry, 4), first = read_at<u32>(entry, 8);
      if (!id || !address || !first) return fail(Error::corrupt);
      if (madt.io_apic_count < madt.io_apics.size()) madt.io_apics[madt.io_apic_count++] = {*id, Hpa{*address}, *first};
      break;
    }
    case override: {
      const auto source = read_at<u8>(entry, 3);
      const auto interrupt = read_at<u32>(entry, 4);
      const auto flags = read_at<u16>(entry, 8);
      if (!source || !interrupt || !flags || *source >= madt.isa.size()) return fail(Error::corrupt);
      madt.isa[*source] = {*interrupt, polarity_of(*flags), trigger_of(*flags)};
      break;
    }
    case local_apic_address: {
      const auto address = read_at<u64>(entry, 4);
      if (!address) return fail(Error::corrupt);
      madt.local_apic = Hpa{*address};
      break;
    }
    case local_x2apic: {
      const auto id = read_at<u32>(entry, 4), flags = read_at<u32>(entry, 8);
      if (!id || !flags) return fail(Error::corrupt);
      add_cpu(madt, *id, *flags);
      break;
    }
    default: break;
  }
  return {};
}
}  // namespace

Result<RootPointer> parse_root_pointer(Bytes bytes) {
  if (!has_text(bytes, 0, "RSD PTR ") || bytes.size() < 20 || byte_sum(bytes.first(20)) != 0) return fail(Error::corrupt);
  if (*read_at<u8>(bytes, 15) >= 2) {
    const auto extended = slice(bytes, 0, 36);
    if (extended && byte_sum(*extended) == 0) {
      if (const u64 xsdt = *read_at<u64>(*extended, 24); xsdt != 0) return RootPointer{Hpa{xsdt}, true};
    }
  }
  return RootPointer{Hpa{*read_at<u32>(bytes, 16)}, false};
}

std::optional<usize> find_root_pointer(Bytes area) {
  for (usize at = 0; at + 20 <= area.size(); at += 16) {
    if (parse_root_pointer(area.subspan(at))) return at;
  }
  return std::nullopt;
}

Result<Header> parse_header(Bytes bytes) {
  const auto signature = read_at<Signature>(bytes, 0);
  const auto length = read_at<u32>(bytes, 4);
  if (bytes.size() < k_header_size || !signature || !length || *length < k_header_size) return fail(Error::corrupt);
  return Header{*signature, *length};
}

Result<Bytes> check_table(Bytes table, Signature wanted) {
  const Header header = OCTAVO_TRY(parse_header(table));
  if (header.signature != wanted || header.length > table.size()) return fail(Error::corrupt);
  const Bytes exact = table.first(header.length);
  if (byte_sum(exact) != 0) return fail(Error::corrupt);
  return exact;
}

usize root_table_entries(Bytes checked, bool is_xsdt) { return (checked.size() - k_header_size) / (is_xsdt ? 8 : 4); }

Hpa root_table_entry(Bytes checked, bool is_xsdt, usize index) {
  if (is_xsdt) return Hpa{read_at<u64>(checked, k_header_size + index * 8).value_or(0)};
  return Hpa{read_at<u32>(checked, k_header_size + index * 4).value_or(0)};
}

Result<Madt> parse_madt(Bytes checked) {
  const auto address = read_at<u32>(checked, 36), flags = read_at<u32>(checked, 40);
  if (!address || !flags) return fail(Error::corrupt);
  Madt madt;
  madt.local_apic = Hpa{*address};
  madt.has_legacy_pics = (*flags & 1) != 0;
  for (u32 i = 0; i < madt.isa.size(); ++i) madt.isa[i].interrupt = i;
  for (u64 at = 44; at < checked.size();) {
    const auto type = read_at<u8>(checked, at), length = read_at<u8>(checked, at + 1);
    if (!type || !length || *length < 2) return fail(Error::corrupt);
    const auto entry = slice(checked, at, *length);
    if (!entry) return fail(Error::corrupt);
    OCTAVO_TRY(parse_madt_entry(madt, *type, *entry));
    at += *length;
  }
  return madt;
}

Result<Fadt> parse_fadt(Bytes t) {
  constexpr u32 reset_register_supported = 1u << 10, timer_is_32_bits = 1u << 8;
  if (t.size() < 116) return fail(Error::corrupt);  // the ACPI 1.0 table
  Fadt fadt;
  fadt.dsdt = Hpa{*read_at<u32>(t, 40)};
  if (const u64 extended = read_at<u64>(t, 140).value_or(0); extended != 0) fadt.dsdt = Hpa{extended};
  fadt.smi_command = static_cast<u16>(*read_at<u32>(t, 48));
  fadt.acpi_enable = *read_at<u8>(t, 52);
  fadt.pm1a_control = static_cast<u16>(*read_at<u32>(t, 64));
  fadt.pm1b_control = static_cast<u16>(*read_at<u32>(t, 68));
  const u32 flags = *read_at<u32>(t, 112);
  if (*read_at<u8>(t, 91) >= 4) fadt.pm_timer = static_cast<u16>(*read_at<u32>(t, 76));
  fadt.pm_timer_32_bits = (flags & timer_is_32_bits) != 0;
  const auto space = read_at<u8>(t, 116), value = read_at<u8>(t, 128);
  const auto address = read_at<u64>(t, 120);
  if ((flags & reset_register_supported) != 0 && space && address && value && *address != 0) {
    fadt.reset = Register{static_cast<Register::Space>(*space), *address};
    fadt.reset_value = *value;
  }
  return fadt;
}

namespace {
// AML encodings (ACPI 6.4, 20.2): NameOp, PackageOp, PkgLength, and integers.
constexpr u8 k_name_op = 0x08, k_package_op = 0x12, k_byte_prefix = 0x0a, k_zero_op = 0x00, k_one_op = 0x01;

std::optional<u8> take_small_integer(Bytes aml, u64& at) {
  const auto op = read_at<u8>(aml, at);
  if (!op) return std::nullopt;
  ++at;
  if (*op == k_zero_op || *op == k_one_op) return *op;
  if (*op != k_byte_prefix) return std::nullopt;
  return read_at<u8>(aml, at++);
}

std::optional<SleepTypes> package_after_name(Bytes aml, u64 at) {
  if (read_at<u8>(aml, at) != k_package_op) return std::nullopt;
  const auto lead = read_at<u8>(aml, at + 1);
  if (!lead) return std::nullopt;
  at += 2 + u64{*lead} / 64;  // PkgLength: the top two bits say how many more bytes it has
  const auto elements = read_at<u8>(aml, at++);
  if (!elements || *elements < 2) return std::nullopt;
  const auto pm1a = take_small_integer(aml, at);
  const auto pm1b = pm1a ? take_small_integer(aml, at) : std::nullopt;
  if (!pm1a || !pm1b || *pm1a > 7 || *pm1b > 7) return std::nullopt;
  return SleepTypes{*pm1a, *pm1b};
}
}  // namespace

std::optional<SleepTypes> find_soft_off(Bytes aml) {
  for (u64 at = 1; at + 4 <= aml.size(); ++at) {
    if (!has_text(aml, at, "_S5_")) continue;
    const bool named = aml[at - 1] == k_name_op || (aml[at - 1] == '\\' && at >= 2 && aml[at - 2] == k_name_op);
    if (!named) continue;
    if (const auto types = package_after_name(aml, at + 4)) return types;
  }
  return std::nullopt;
}
}  // namespace octavo::arch::acpi
