// SPDX-License-Identifier: Apache-2.0
#include "domain/image.hpp"

#include "domain/image_tree.hpp"
#include "lib/crc32.hpp"

namespace octavo::domain {
namespace {

struct Word {
  std::string_view text;
  u8 value;
};
constexpr Word k_consoles[] = {{"none", u8(Console::none)}, {"uart", u8(Console::uart)}};
constexpr Word k_kinds[] = {{"linux", u8(KernelKind::linux_bzimage)},
                            {"pvh", u8(KernelKind::pvh)},
                            {"multiboot", u8(KernelKind::multiboot)}};
constexpr Word k_policies[] = {
    {"destroy", u8(Policy::destroy)}, {"restart", u8(Policy::restart)}, {"preserve", u8(Policy::preserve)}};
constexpr Word k_modes[] = {{"protected32", u8(BootMode::protected32)}, {"long64", u8(BootMode::long64)}};

std::string_view text_of(std::span<const Word> words, u8 value) {
  for (const Word& word : words) {
    if (word.value == value) return word.text;
  }
  return "?";
}

/// Which of these words a property holds; only the first `count` of them are legal for it.
template <class Enum>
ImageResult<Enum> choice(const TreeNode& node, const char* property, std::span<const Word> words) {
  const std::string_view text = OCTAVO_TRY(node.text(property));
  for (const Word& word : words) {
    if (word.text == text) return static_cast<Enum>(word.value);
  }
  return node.refuse(property, "not one of the words that are legal here");
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > OCTAVO_IMAGE_MAX_NAME) return false;
  for (const char c : text) {
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alphanumeric && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

constexpr bool is_page_multiple(u64 value) { return value % k_page_size == 0; }
constexpr u64 k_4g = u64{1} << 32;
constexpr u32 k_default_cs = 0x10;
constexpr u32 k_default_ds = 0x18;
}  // namespace

std::string_view to_string(Console console) { return text_of(k_consoles, static_cast<u8>(console)); }
std::string_view to_string(KernelKind kind) { return text_of(k_kinds, static_cast<u8>(kind)); }
std::string_view to_string(Policy policy) { return text_of(k_policies, static_cast<u8>(policy)); }
std::string_view to_string(BootMode mode) { return text_of(k_modes, static_cast<u8>(mode)); }

void format_error(Sink& sink, const ImageError& error) {
  if (error.node[0] != '\0') sink.put(error.node);
  if (error.index != ImageError::k_no_index) format(sink, "{:x}", error.index);
  if (error.node[0] != '\0') sink.put(": ");
  if (error.property != nullptr) format(sink, "{}: ", error.property);
  sink.put(error.cause);
}

/// One method for each node of the tree, in the order in which they lean on each other.
class ImageReader {
 public:
  ImageReader(std::span<const std::byte> bytes, Image& image) : bytes_(bytes), image_(image) {}

  ImageResult<> read() {
    const Tree tree = OCTAVO_TRY(Tree::open(bytes_));
    image_.tree_size = tree.size();
    image_.range_count_ = image_.segment_count_ = 0;
    image_.config = {};
    image_.registers = {};
    const TreeNode root = tree.root();
    OCTAVO_TRY(read_root(root));
    const struct {
      const char* name;
      ImageResult<> (ImageReader::*read)(const TreeNode&);
    } nodes[] = {{"config", &ImageReader::read_config},
                 {"memory-map", &ImageReader::read_ranges},
                 {"segments", &ImageReader::read_segments},
                 {"vcpu@0", &ImageReader::read_registers}};
    for (const auto& [name, read_node] : nodes) {
      const TreeNode node = OCTAVO_TRY(root.child(name));
      OCTAVO_TRY((this->*read_node)(node));
    }
    return {};
  }

 private:
  ImageResult<> read_root(const TreeNode& root) {
    if (OCTAVO_TRY(root.text("compatible")) != OCTAVO_IMAGE_COMPATIBLE) return root.refuse("compatible", "not a domain image");
    if (OCTAVO_TRY(root.number32("octavo,version")) != OCTAVO_IMAGE_VERSION) {
      return root.refuse("octavo,version", "a version of the format that this Octavo does not know", Error::unsupported);
    }
    const u64 size = OCTAVO_TRY(root.number64("image-size"));
    if (size > bytes_.size()) return root.refuse("image-size", "the image is truncated");
    if (size < bytes_.size()) return root.refuse("image-size", "the image is longer than it says");
    if (!is_page_multiple(size)) return root.refuse("image-size", "not a multiple of 4096");
    image_.generator = root.has("generator") ? OCTAVO_TRY(root.text("generator")) : std::string_view{};
    return {};
  }

  ImageResult<> read_config(const TreeNode& node) {
    ImageConfig& config = image_.config;
    config.name = OCTAVO_TRY(node.text("name"));
    if (!is_name(config.name)) return node.refuse("name", "not 1 to 31 of a-z A-Z 0-9 . _ -");
    config.vcpus = OCTAVO_TRY(node.number32("vcpus"));
    if (config.vcpus == 0) return node.refuse("vcpus", "0");
    if (config.vcpus > OCTAVO_IMAGE_MAX_VCPUS) {
      return node.refuse("vcpus", "more than this version of Octavo supports", Error::unsupported);
    }
    OCTAVO_TRY(read_memory(node));
    OCTAVO_TRY(read_leaf_orders(node));
    config.console = OCTAVO_TRY(choice<Console>(node, "console", k_consoles));
    config.on_poweroff = OCTAVO_TRY(choice<Policy>(node, "on-poweroff", std::span{k_policies}.first(2)));
    config.on_reboot = OCTAVO_TRY(choice<Policy>(node, "on-reboot", std::span{k_policies}.first(2)));
    config.on_crash = OCTAVO_TRY(choice<Policy>(node, "on-crash", k_policies));
    config.kernel_kind = OCTAVO_TRY(choice<KernelKind>(node, "kernel-kind", k_kinds));
    config.command_line = OCTAVO_TRY(node.text("command-line"));
    return {};
  }

  ImageResult<> read_memory(const TreeNode& node) {
    ImageConfig& config = image_.config;
    config.memory = OCTAVO_TRY(node.number64("memory"));
    config.maximum_memory = OCTAVO_TRY(node.number64("maximum-memory"));
    if (!is_page_multiple(config.memory)) return node.refuse("memory", "not a multiple of 4096");
    if (config.memory < OCTAVO_IMAGE_MIN_MEMORY) return node.refuse("memory", "less than 1 MiB");
    if (config.memory > config.maximum_memory) return node.refuse("memory", "above maximum-memory");
    if (!is_page_multiple(config.maximum_memory)) return node.refuse("maximum-memory", "not a multiple of 4096");
    return {};
  }

  ImageResult<> read_leaf_orders(const TreeNode& node) {
    const TreeCells orders = OCTAVO_TRY(node.cells("leaf-orders"));
    if (orders.count == 0 || orders.count > 3 || orders[orders.count - 1] != k_order_4k.value()) {
      return node.refuse("leaf-orders", "not one to three orders that end with 0");
    }
    u32 last = ~u32{0};
    for (u32 i = 0; i < orders.count; ++i) {
      const u32 order = orders[i];
      if (order >= last) return node.refuse("leaf-orders", "not in descending order");
      if (order == k_order_1g.value()) image_.config.leaf_1g = true;
      else if (order == k_order_2m.value()) image_.config.leaf_2m = true;
      else if (order != k_order_4k.value()) return node.refuse("leaf-orders", "an order that is not 18, 9 or 0");
      last = order;
    }
    if (image_.config.leaf_1g && !image_.config.leaf_2m) return node.refuse("leaf-orders", "18 without 9");
    return {};
  }

  ImageResult<> read_ranges(const TreeNode& map) {
    u64 end = 0;  // of the range before
    u64 total = 0;
    for (auto children = map.children("memory-map/range@", "range@");;) {
      const auto child = OCTAVO_TRY(children.next());
      if (!child) break;
      if (image_.range_count_ == OCTAVO_IMAGE_MAX_RANGES) return map.refuse(nullptr, "more than 32 ranges");
      if (OCTAVO_TRY(child->text("type")) != "ram") return child->refuse("type", "not ram");
      const u64 base = OCTAVO_TRY(child->number64("base"));
      const u64 size = OCTAVO_TRY(child->number64("size"));
      if (!is_page_multiple(base)) return child->refuse("base", "not page-aligned");
      if (size == 0 || !is_page_multiple(size)) return child->refuse("size", "0 or not a multiple of 4096");
      if (base < end) return child->refuse("base", "overlaps or is below the range before it");
      if (!range_within(base, size, OCTAVO_IMAGE_ADDRESS_LIMIT)) return child->refuse("size", "beyond the guest-physical address space");
      end = base + size;
      total += size;  // disjoint and below 2^48: cannot overflow
      image_.range_[image_.range_count_++] = {Gpa{base}, size};
    }
    if (total != image_.config.maximum_memory) return map.refuse(nullptr, "the sum of all ranges is not maximum-memory");
    return {};
  }

  ImageResult<> read_segments(const TreeNode& segments) {
    u64 memory_end = 0;
    u64 data_end = image_.tree_size;
    u64 total = 0;
    for (auto children = segments.children("segments/segment@", "segment@");;) {
      const auto child = OCTAVO_TRY(children.next());
      if (!child) break;
      if (image_.segment_count_ == OCTAVO_IMAGE_MAX_SEGMENTS) return segments.refuse(nullptr, "more than 64 segments");
      ImageSegment& segment = image_.segment_[image_.segment_count_++];
      segment.label = OCTAVO_TRY(child->text("label"));
      if (!is_name(segment.label)) return child->refuse("label", "not 1 to 31 of a-z A-Z 0-9 . _ -");
      OCTAVO_TRY(read_place(*child, segment, memory_end));
      OCTAVO_TRY(read_data(*child, segment, data_end));
      total += align_up(segment.memory_size, k_page_size);  // disjoint and in ranges: cannot overflow
      if (total > image_.config.memory) return child->refuse("memory-size", "with those before it more than memory");
    }
    if (image_.segment_count_ == 0) return segments.refuse(nullptr, "there is none");
    return {};
  }

  ImageResult<> read_place(const TreeNode& node, ImageSegment& segment, u64& memory_end) {
    const u64 gpa = OCTAVO_TRY(node.number64("gpa"));
    const u64 size = OCTAVO_TRY(node.number64("memory-size"));
    if (!is_page_multiple(gpa)) return node.refuse("gpa", "not page-aligned");
    if (size == 0) return node.refuse("memory-size", "0");
    if (gpa < memory_end) return node.refuse("gpa", "overlaps or is below the segment before it");
    if (!in_ram(gpa, size)) return node.refuse("memory-size", "not inside one range of ram");
    segment.gpa = Gpa{gpa};
    segment.memory_size = size;
    memory_end = gpa + size;
    return {};
  }

  ImageResult<> read_data(const TreeNode& node, ImageSegment& segment, u64& data_end) {
    const u64 offset = OCTAVO_TRY(node.number64("data-offset"));
    const u64 size = OCTAVO_TRY(node.number64("data-size"));
    if (!is_page_multiple(offset)) return node.refuse("data-offset", "not page-aligned");
    if (offset < data_end) return node.refuse("data-offset", "overlaps the tree or the data of the segment before it");
    if (size > segment.memory_size) return node.refuse("data-size", "above memory-size");
    if (!range_within(offset, size, bytes_.size())) return node.refuse("data-size", "data beyond the end of the image");
    segment.data = bytes_.subspan(offset, size);
    segment.crc32 = OCTAVO_TRY(node.number32("data-crc32"));
    data_end = offset + size;
    return {};
  }

  ImageResult<> read_registers(const TreeNode& node) {
    BootRegisters& registers = image_.registers;
    registers.mode = OCTAVO_TRY(choice<BootMode>(node, "mode", k_modes));
    const struct {
      const char* name;
      u64 BootRegisters::*member;
      bool required;
    } numbers[] = {{"rip", &BootRegisters::rip, true},  {"rsp", &BootRegisters::rsp, true},
                   {"rax", &BootRegisters::rax, false}, {"rbx", &BootRegisters::rbx, false},
                   {"rcx", &BootRegisters::rcx, false}, {"rdx", &BootRegisters::rdx, false},
                   {"rsi", &BootRegisters::rsi, false}, {"rdi", &BootRegisters::rdi, false},
                   {"rbp", &BootRegisters::rbp, false}};
    for (const auto& number : numbers) {
      if (!number.required && !node.has(number.name)) continue;
      const u64 value = OCTAVO_TRY(node.number64(number.name));
      if (registers.mode == BootMode::protected32 && value >= k_4g) {
        return node.refuse(number.name, "beyond 4 GiB in protected32");
      }
      registers.*number.member = value;
    }
    if (!in_segment(registers.rip, 1)) return node.refuse("rip", "not in a segment");
    OCTAVO_TRY(read_cr3(node));
    OCTAVO_TRY(read_gdt(node));
    return read_selectors(node);
  }

  ImageResult<> read_cr3(const TreeNode& node) {
    if (image_.registers.mode == BootMode::protected32) {
      if (node.has("cr3")) return node.refuse("cr3", "protected32 has no paging");
      return {};
    }
    image_.registers.cr3 = OCTAVO_TRY(node.number64("cr3"));
    if (!is_page_multiple(image_.registers.cr3)) return node.refuse("cr3", "not page-aligned");
    if (!in_segment(image_.registers.cr3, k_page_size)) return node.refuse("cr3", "not in a segment");
    return {};
  }

  ImageResult<> read_gdt(const TreeNode& node) {
    BootRegisters& registers = image_.registers;
    if (!node.has("gdt-base") && !node.has("gdt-limit")) return {};
    registers.gdt_base = OCTAVO_TRY(node.number64("gdt-base"));
    registers.gdt_limit = OCTAVO_TRY(node.number32("gdt-limit"));
    if (registers.gdt_limit < 7 || registers.gdt_limit > 0xffff) return node.refuse("gdt-limit", "not 7 to 0xffff");
    if (!in_segment(registers.gdt_base, u64{registers.gdt_limit} + 1)) return node.refuse("gdt-base", "not in a segment");
    return {};
  }

  ImageResult<> read_selectors(const TreeNode& node) {
    BootRegisters& registers = image_.registers;
    const auto selector = [&](const char* name, u32 otherwise) -> ImageResult<u16> {
      const u32 value = node.has(name) ? OCTAVO_TRY(node.number32(name)) : otherwise;
      if (value == 0 || value > 0xffff || (value & 7) != 0) return node.refuse(name, "not a selector of ring 0 in the GDT");
      if (registers.gdt_limit != 0 && value + 7 > registers.gdt_limit) return node.refuse(name, "beyond gdt-limit");
      return static_cast<u16>(value);
    };
    registers.cs = OCTAVO_TRY(selector("cs", k_default_cs));
    registers.ds = OCTAVO_TRY(selector("ds", k_default_ds));
    return {};
  }

  [[nodiscard]] bool in_ram(u64 begin, u64 size) const {
    for (const ImageRange& range : image_.ranges()) {
      if (begin >= range.base.value() && range_within(begin - range.base.value(), size, range.size)) return true;
    }
    return false;
  }
  [[nodiscard]] bool in_segment(u64 begin, u64 size) const {
    for (const ImageSegment& segment : image_.segments()) {
      if (begin >= segment.gpa.value() && range_within(begin - segment.gpa.value(), size, segment.memory_size)) return true;
    }
    return false;
  }

  std::span<const std::byte> bytes_;
  Image& image_;
};

ImageResult<> check_image(std::span<const std::byte> bytes, Image& image) { return ImageReader{bytes, image}.read(); }

ImageResult<> check_crc(const Image& image, usize segment, u32 computed) {
  if (image.segments()[segment].crc32 == computed) return {};
  return std::unexpected(ImageError{.node = "segments/segment@",
                                    .index = static_cast<u32>(segment),
                                    .property = "data-crc32",
                                    .cause = "the data has another CRC: it was changed after the image was built"});
}

ImageResult<> check_all_crcs(const Image& image) {
  for (usize i = 0; i < image.segments().size(); ++i) OCTAVO_TRY(check_crc(image, i, crc32(image.segments()[i].data)));
  return {};
}
}  // namespace octavo::domain
