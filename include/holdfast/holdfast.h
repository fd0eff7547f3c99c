// SPDX-License-Identifier: MIT
#pragma once

// The whole public API, but for the opt-in `holdfast/awaitable.h` and `holdfast/throwing.h`.

#include "holdfast/batch.h"
#include "holdfast/batch_delivery.h"
#include "holdfast/bus.h"
#include "holdfast/delivery.h"
#include "holdfast/event.h"
#include "holdfast/operation.h"
#include "holdfast/options.h"
#include "holdfast/query.h"
#include "holdfast/receipt.h"
#include "holdfast/replay.h"
#include "holdfast/result.h"
#include "holdfast/stats.h"
#include "holdfast/status.h"
#include "holdfast/subscription.h"
#include "holdfast/token.h"
#include "holdfast/types.h"
#include "holdfast/version.h"
#include "holdfast/view.h"
