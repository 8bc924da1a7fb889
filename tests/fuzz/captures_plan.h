/*
 * captures_plan.h: the task of the captures, which most targets read by: orders with their buyer,
 * items and payment.
 */
#ifndef WEIR_TESTS_FUZZ_CAPTURES_PLAN_H
#define WEIR_TESTS_FUZZ_CAPTURES_PLAN_H

#include "fuzz.h"

#include "dataplane/plan.h"

static inline struct plan *captures_plan(enum images images)
{
    static const struct plan_rename pay[] = { { { "channel", 7 }, { "paid_by", 7 } } };
    struct plan *plan = plan_open(SLICE("orders"), SLICE("order_no"), images, EMIT_ALWAYS);
    const struct plan_table tables[] = {
        { .name = SLICE("shop.tc_order") },
        { .name = SLICE("shop.tc_order_buyer"), .into = SLICE("buyer") },
        { .name = SLICE("shop.tc_order_item"), .into = SLICE("items"), .many = SLICE("id") },
        { .name = SLICE("shop.tc_order_pay"), .into = SLICE("pay") },
    };

    for (unsigned i = 0; i < 4; i++)
        plan_add_table(plan, &tables[i], pay, i == 3 ? 1 : 0);
    return plan;
}

#endif
