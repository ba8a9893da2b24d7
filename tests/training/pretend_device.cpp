// A device that is the CPU in all but name, for machines without a GPU.
//
// Its tensors are refused by whatever expects tensors of the CPU, and an operation on
// tensors of both is an error, as it is with a GPU. Operations run by the CPU's code on
// the same memory.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/ops/_local_scalar_dense.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/extension.h>

#include <cstring>
#include <optional>
#include <vector>

namespace {

using at::Tensor;
using c10::Device;
using c10::DeviceIndex;
using c10::Stream;

constexpr auto KIND = c10::DeviceType::PrivateUse1;
const Device HERE(KIND, 0);

struct Memory final : at::Allocator {
  at::DataPtr allocate(size_t n_bytes) override {
    void* start = c10::alloc_cpu(n_bytes);
    return {start, start, &release, HERE};
  }
  static void release(void* start) {
    if (start != nullptr) c10::free_cpu(start);
  }
  at::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t n_bytes) const override {
    std::memcpy(to, from, n_bytes);
  }
};
Memory memory;
REGISTER_ALLOCATOR(KIND, &memory);

// One device with one stream, whose work is done when it is asked for.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return KIND; }
  Device exchangeDevice(Device) const override { return HERE; }
  Device getDevice() const override { return HERE; }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Stream getStream(Device) const noexcept override { return only(); }
  Stream getNewStream(Device, int) const override { return only(); }
  static Stream only() { return Stream(Stream::DEFAULT, HERE); }
  Stream exchangeStream(Stream old) const noexcept override { return old; }
  DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** event, const Stream&, DeviceIndex, c10::EventFlag) const override {
    *event = nullptr;
  }
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, DeviceIndex) const noexcept override {}
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(DeviceIndex) const override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  at::Generator getNewGenerator(DeviceIndex) const override {
    return at::make_generator<at::CPUGeneratorImpl>(0);
  }
};

bool is_here(const Tensor& tensor) { return tensor.device().type() == KIND; }

// The CPU's view of a tensor's memory.
Tensor on_host(const Tensor& tensor) {
  const auto options = tensor.options().device(at::kCPU).requires_grad(false);
  if (tensor.numel() == 0) return at::empty(tensor.sizes(), options);
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(), options);
}

Tensor moved_here(const Tensor& tensor) {
  const auto options = tensor.options().device(HERE);
  auto result = at::empty_strided(tensor.sizes(), tensor.strides(), options);
  if (tensor.numel() > 0) on_host(result).copy_(tensor);
  return result;
}

const auto KEYS = c10::DispatchKeySet(c10::DispatchKey::PrivateUse1);

Tensor empty(c10::IntArrayRef size, std::optional<at::ScalarType> dtype,
             std::optional<at::Layout>, std::optional<Device>, std::optional<bool>,
             std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, KEYS, c10::dtype_or_default(dtype),
                                   format);
}

Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride,
                     std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                     std::optional<Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory, KEYS,
                                           c10::dtype_or_default(dtype));
}

Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  if (to.numel() == 0) return to;
  (is_here(to) ? on_host(to) : to).copy_(is_here(from) ? on_host(from) : from);
  return to;
}

at::Scalar read_scalar(const Tensor& tensor) {
  return at::_local_scalar_dense(on_host(tensor));
}

const Tensor& grow(const Tensor& tensor, c10::IntArrayRef size,
                   std::optional<at::MemoryFormat>) {
  const size_t n_bytes = c10::multiply_integers(size) * tensor.itemsize();
  auto* storage = tensor.storage().unsafeGetStorageImpl();
  if (storage->nbytes() < n_bytes) {
    auto larger = memory.allocate(n_bytes);
    if (storage->nbytes() > 0) {
      std::memcpy(larger.get(), storage->data(), storage->nbytes());
    }
    storage->set_data_ptr_noswap(std::move(larger));
    storage->set_nbytes(n_bytes);
  }
  tensor.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  return tensor;
}

// The arguments of one operation, as the CPU is given them.
class Arguments {
 public:
  c10::IValue unwrap(const c10::IValue& value) {
    if (value.isTensor()) return unwrap(value.toTensor());
    if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& tensor : value.toTensorVector()) list.push_back(unwrap(tensor));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> list;
      for (const std::optional<Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor ? std::optional(unwrap(*tensor)) : std::nullopt);
      }
      return list;
    }
    if (value.isDevice() && value.toDevice().type() == KIND) return Device(at::kCPU);
    return value;
  }

  // What an operation returned: an argument that it wrote to, or a new tensor.
  c10::IValue wrap(const c10::IValue& value) const {
    if (value.isTensor()) return wrap(value.toTensor());
    if (!value.isTensorList()) return value;
    c10::List<Tensor> list;
    for (const Tensor& tensor : value.toTensorVector()) list.push_back(wrap(tensor));
    return list;
  }

  void check(const std::string& operation) const {
    TORCH_CHECK(here_.empty() || !of_cpu_, operation,
                " was given tensors of the CPU and of the pretended device");
  }

  // Carry over what the operation made larger.
  void grow_outputs() const {
    for (size_t i = 0; i < here_.size(); ++i) {
      if (here_[i].sizes() == host_[i].sizes()) continue;
      grow(here_[i], host_[i].sizes(), std::nullopt);
      on_host(here_[i]).copy_(host_[i]);
    }
  }

 private:
  Tensor unwrap(const Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (!is_here(tensor)) {
      // Numbers of Python come as tensors without dimensions.
      of_cpu_ = of_cpu_ || tensor.dim() > 0;
      return tensor;
    }
    here_.push_back(tensor);
    host_.push_back(on_host(tensor));
    return host_.back();
  }

  Tensor wrap(const Tensor& tensor) const {
    if (!tensor.defined()) return tensor;
    for (size_t i = 0; i < host_.size(); ++i) {
      if (host_[i].is_same(tensor)) return here_[i];
    }
    return moved_here(tensor);
  }

  std::vector<Tensor> here_, host_;
  bool of_cpu_ = false;
};

void run_on_cpu(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  const auto& schema = operation.schema();
  Arguments arguments;
  const auto first = stack->size() - schema.arguments().size();
  for (auto i = first; i < stack->size(); ++i) {
    (*stack)[i] = arguments.unwrap((*stack)[i]);
  }
  arguments.check(schema.name());
  operation.callBoxed(stack);
  arguments.grow_outputs();
  for (auto i = stack->size() - schema.returns().size(); i < stack->size(); ++i) {
    (*stack)[i] = arguments.wrap((*stack)[i]);
  }
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("_copy_from", &copy_from);
  m.impl("_local_scalar_dense", &read_scalar);
  m.impl("resize_", &grow);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("view", &at::native::view);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
  m.impl("unfold", &at::native::unfold);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>());
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("register_hooks", [] { at::RegisterPrivateUse1HooksInterface(new Hooks()); });
}
