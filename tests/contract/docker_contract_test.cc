#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "edge-runtime/docker/docker_runtime.h"
#include "tests/contract/runtime_contract.h"
#include "tests/fakes/docker_engine.h"

namespace mcpfleet {
namespace {

// Without the shim: argv is the first process, so that the payload can be anything. `attached`: with its stdio ours.
class DockerUnderTest final : public RuntimeUnderTest {
 public:
  DockerUnderTest(DockerEngine& engine, bool attached) : engine_(engine) {
    char pattern[] = "/tmp/mcpfleet-docker-contract-XXXXXX";
    state_ = mkdtemp(pattern) == nullptr ? "" : pattern;
    EXPECT_FALSE(state_.empty());
    if (attached) attachments_ = DockerAttachments::Create(state_, clock_).value();
  }
  ~DockerUnderTest() override {
    attachments_.reset();
    EXPECT_TRUE(RemoveTree(state_).ok());
    for (const std::string& name : foreign_)
      engine_.Request("DELETE", "/containers/" + name + "?force=1").IgnoreError();
  }
  std::unique_ptr<ContainerRuntime> Open(const std::string& node) override {
    return DockerRuntime::Create({.socket_path = engine_.socket(),
                                  .node_name = node,
                                  .attach = attachments_ ? "asked for" : "",
                                  .attachments = attachments_.get()},
                                 clock_)
        .value();
  }
  std::optional<InstanceSpec> Spec(const std::string& id, Payload payload) override {
    return ContainerSpec(*Open("puller"), engine_.image(), id, payload);
  }
  bool AddForeign(const std::string& name) override {
    const Json body = {
        {"Image", engine_.image()}, {"Cmd", {"sleep", "1000"}}, {"HostConfig", {{"NetworkMode", "none"}}}};
    foreign_.push_back(name);
    EXPECT_EQ(engine_.Request("POST", "/containers/create?name=" + name, DumpJson(body))->status, 201);
    EXPECT_EQ(engine_.Request("POST", "/containers/" + name + "/start")->status, 204);
    return true;
  }
  bool ForeignRuns(const std::string& name) override {
    StatusOr<DockerEngine::Answer> answer = engine_.Request("GET", "/containers/" + name + "/json");
    return answer.ok() && answer->body.find("\"Running\":true") != std::string::npos;
  }

  bool RunsBusybox() const override { return true; }
  bool GivesCapabilitiesToAll() const override { return false; }

 private:
  DockerEngine& engine_;
  SystemClock clock_;
  std::string state_;
  std::unique_ptr<DockerAttachments> attachments_;
  std::vector<std::string> foreign_;
};

template <bool attached>
std::unique_ptr<RuntimeUnderTest> MakeDockerUnderTest(std::string* why_not) {
  DockerEngine* engine = DockerEngine::Shared();
  if (engine == nullptr) {
    *why_not = DockerEngine::WhyNot();
    return nullptr;
  }
  return std::make_unique<DockerUnderTest>(*engine, attached);
}

INSTANTIATE_TEST_SUITE_P(Docker, RuntimeContract,
                         testing::Values(ContractCase{"Docker", &MakeDockerUnderTest<false>},
                                         ContractCase{"DockerAttached", &MakeDockerUnderTest<true>}),
                         ContractCaseName);

}  // namespace
}  // namespace mcpfleet
