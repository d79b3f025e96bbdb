#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/fd.h"

namespace mcpfleet {
namespace {

constexpr int kHeaps = 2;
constexpr int kLargeBlock = 128 << 10;
constexpr int64_t kGrowth = int64_t{1} << 20;

// The segments of one program or library that nothing ever writes to: code and constants. Relocated constants lie in
// segments that are writable when the program is loaded, so they stay.
// NOLINTBEGIN(performance-no-int-to-ptr): the dynamic linker tells addresses as integers.
int ReleaseSegments(dl_phdr_info* object, size_t, void*) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  bool patched_code = false;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    if (object->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry) {
      const bool flagged = entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0;
      patched_code = patched_code || entry->d_tag == DT_TEXTREL || flagged;
    }
  }
  if (patched_code || object->dlpi_addr == 0) return 0;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_filesz;
    // Best effort: what can't be given back stays.
    (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}
// NOLINTEND(performance-no-int-to-ptr)

}  // namespace

void LimitHeaps() {
  mallopt(M_ARENA_MAX, kHeaps);
  // Set, so that glibc does not raise it after the first large block that is freed.
  mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  mallopt(M_TRIM_THRESHOLD, kLargeBlock);
}

int64_t ResidentBytes() {
  const StatusOr<std::string> statm = ReadFile("/proc/self/statm", 4096);
  const size_t space = statm.ok() ? statm->find(' ') : std::string::npos;
  if (space == std::string::npos) return 0;
  return std::strtoll(statm->c_str() + space, nullptr, 10) * sysconf(_SC_PAGESIZE);
}

bool MemoryTender::Tend(int64_t resident) {
  if (std::exchange(released_, false)) {
    at_rest_ = resident;
    return false;
  }
  if (at_rest_ && resident <= *at_rest_ + kGrowth) return false;
  ReleaseUnusedMemory();
  released_ = true;
  return true;
}

void ReleaseUnusedMemory() {
  malloc_trim(0);
  dl_iterate_phdr(ReleaseSegments, nullptr);
}

}  // namespace mcpfleet
