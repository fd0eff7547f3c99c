// SPDX-License-Identifier: MIT
// A deploy of three steps that belong together: when one fails, what the others did is undone, from
// the last to the first, also when the process dies in between.
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

#include <holdfast/holdfast.h>

using namespace holdfast;

namespace {

std::mutex output;

void say(const char* what, const EventView& event) {
  const std::lock_guard lock(output);
  std::printf("%s %.*s\n", what, static_cast<int>(event.type.size()), event.type.data());
}

int fail(const Status& status) {
  std::fprintf(stderr, "%s\n", status.to_string().c_str());
  return 1;
}

}  // namespace

int main() {
  auto bus = Bus::open("journal");
  if (!bus.ok()) return fail(bus.status());

  SubscribeOptions deploy{.name = "deployer", .types = {"deploy.>"}};
  deploy.compensate = [](Delivery& delivery) {
    // Whatever this writes through its tx is committed with the undoing: exactly once.
    delivery.tx().state().erase(delivery.event().type);
    say("undo", delivery.event());
  };
  const auto deployer = (*bus)->subscribe(std::move(deploy), [](Delivery& delivery) {
    const auto& event = delivery.event();
    say("do", event);
    if (event.type == "deploy.check") return Outcome::reject("the new version does not answer");
    delivery.tx().state().put(event.type, "done");
    return Outcome::ack();
  });
  if (!deployer.ok()) return fail(deployer.status());

  const std::vector<OwnedEvent> steps = {
      {.type = "deploy.copy"}, {.type = "deploy.switch"}, {.type = "deploy.check"}};
  const auto receipt = (*bus)->publish_batch(
      steps, {.operation = OperationOptions{.deadline = std::chrono::minutes(10)}});
  if (!receipt.ok()) return fail(receipt.status());

  auto status = (*bus)->wait_settled(receipt->operation_id, std::chrono::seconds(60));
  if (!status.ok()) return fail(status);
  const auto operation = (*bus)->operation(receipt->operation_id);
  if (!operation.ok()) return fail(operation.status());
  std::printf("the deploy is %s: %s\n", std::string(to_string(operation->state)).c_str(),
              operation->reason.c_str());
  return operation->state == OperationState::rolled_back ? 0 : 1;
}
