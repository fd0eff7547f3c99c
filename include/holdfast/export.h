// SPDX-License-Identifier: MIT
#pragma once

/// What can be called from outside the library; everything else is hidden.
#define HOLDFAST_EXPORT [[gnu::visibility("default")]]
