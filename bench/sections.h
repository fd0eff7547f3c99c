// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "support/report.h"

namespace holdfast::bench {

// What can be measured, each in a file of its name. The numbers are those of docs/performance.md.
void end_to_end(Report& report);  // P1, P2, P10, P11: a whole life, in bulk
void publish(Report& report);     // P3, P4: publishers that wait, and such that do not
void priorities(Report& report);  // P5, P6: what lanes cost, and what they are good for
void cancel(Report& report);      // P7
void recovery(Report& report);    // P8: after a kill, and after a close
void memory(Report& report);      // P9
void routing(Report& report);     // P12: many subscriptions
void batches(Report& report);     // P13: large ones
void growth(Report& report);      // P14: minutes of it
void settle(Report& report);      // P15: answers in any order
void latency(Report& report);     // a picture: to the handler, by the load

/// What `Child` runs: the names and numbers behind "--child".
void recovery_child(const std::vector<std::string>& arguments);
void memory_child(const std::vector<std::string>& arguments);
void batches_child(const std::vector<std::string>& arguments);

}  // namespace holdfast::bench
