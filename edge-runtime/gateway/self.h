// Lets a callback that was given away find out whether its object still lives:
//
//   lane->Start({.closed = self_.Bind([](Thing& thing, const Status& why) { thing.OnClosed(why); })});
//
// One thread. An object may not be destroyed from inside its own callback: whoever wants that posts it to the loop.
#pragma once

#include <functional>
#include <memory>
#include <utility>

namespace mcpfleet::gateway {

template <typename T>
class Self {
 public:
  explicit Self(T* object) : object_(std::make_shared<T*>(object)) {}
  Self(const Self&) = delete;
  Self& operator=(const Self&) = delete;

  // Calls `body(object, arguments…)`, or nothing once the object is gone.
  template <typename Body>
  auto Bind(Body body) const {
    return [weak = std::weak_ptr<T*>(object_), body = std::move(body)](auto&&... arguments) mutable {
      if (auto alive = weak.lock()) body(**alive, std::forward<decltype(arguments)>(arguments)...);
    };
  }

 private:
  std::shared_ptr<T*> object_;
};

}  // namespace mcpfleet::gateway
