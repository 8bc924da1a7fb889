/*
 * value_time.c: Debezium's and Connect's dates and times as the text a database would print.
 *
 *     Date              20512              2026-02-28
 *     Timestamp         1795305599000      2026-11-21 23:59:59
 *     MicroTimestamp    1767225600000001   2026-01-01 00:00:00.000001
 *     MicroTime         -45296000000       -12:34:56
 *
 * The fraction has the digits of its unit (3, 6, 9) and stands only where it is not zero. Days
 * become a date by eras of 400 years, from March on, so that leap days come last (the proleptic
 * Gregorian calendar, as databases use).
 *
 * What this does not do: time zones. These types are local times; those with a zone arrive as text.
 */
#include "dataplane/value.h"

#define DAY_SECONDS 86400
#define ERA_DAYS    146097
#define EPOCH_DAYS  719468 /* from 0000-03-01 to 1970-01-01 */
#define DAYS_MAX    INT64_C(400000000000)

/* Writes `number` with at least `width` digits. */
static char *put_number(char *at, uint64_t number, unsigned width)
{
    char digits[20];
    unsigned n = 0;

    do {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0 || n < width);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

static char *put_date(char *at, int64_t days)
{
    int64_t shifted = days + EPOCH_DAYS;
    int64_t era = (shifted >= 0 ? shifted : shifted - (ERA_DAYS - 1)) / ERA_DAYS;
    unsigned day_of_era = (unsigned)(shifted - era * ERA_DAYS);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_from_march = (5 * day_of_year + 2) / 153;
    unsigned day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t year = (int64_t)year_of_era + era * 400 + (month <= 2);

    if (year < 0)
        *at++ = '-';
    at = put_number(at, (uint64_t)(year < 0 ? -year : year), 4);
    *at++ = '-';
    at = put_number(at, month, 2);
    *at++ = '-';
    return put_number(at, day, 2);
}

static char *put_clock(char *at, uint64_t seconds)
{
    at = put_number(at, seconds / 3600, 2);
    *at++ = ':';
    at = put_number(at, seconds / 60 % 60, 2);
    *at++ = ':';
    return put_number(at, seconds % 60, 2);
}

static char *put_fraction(char *at, uint64_t fraction, unsigned digits)
{
    if (fraction == 0)
        return at;
    *at++ = '.';
    return put_number(at, fraction, digits);
}

static uint64_t unit_of(unsigned digits)
{
    return digits == 3 ? 1000 : digits == 6 ? 1000000 : 1000000000;
}

static char *put_timestamp(char *at, int64_t number, unsigned digits)
{
    int64_t unit = (int64_t)unit_of(digits), seconds = number / unit, fraction = number % unit;
    int64_t days, rest;

    if (fraction < 0) {
        fraction += unit;
        seconds--;
    }
    days = seconds / DAY_SECONDS;
    rest = seconds % DAY_SECONDS;
    if (rest < 0) {
        rest += DAY_SECONDS;
        days--;
    }
    at = put_date(at, days);
    *at++ = ' ';
    return put_fraction(put_clock(at, (uint64_t)rest), (uint64_t)fraction, digits);
}

static char *put_time(char *at, int64_t number, unsigned digits)
{
    uint64_t unit = unit_of(digits), size = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    if (number < 0)
        *at++ = '-';
    return put_fraction(put_clock(at, size / unit), size % unit, digits);
}

/* The digits of the kind's fraction. */
static unsigned fraction_digits(enum value_kind kind)
{
    if (kind == VALUE_TIMESTAMP_MS || kind == VALUE_TIME_MS)
        return 3;
    return kind == VALUE_TIMESTAMP_US || kind == VALUE_TIME_US ? 6 : 9;
}

size_t value_time_text(enum value_kind kind, int64_t number, char out[VALUE_TIME_TEXT_BYTES])
{
    char *at = out;

    if (kind == VALUE_DATE && (number > DAYS_MAX || number < -DAYS_MAX))
        return 0;
    *at++ = '"';
    if (kind == VALUE_DATE)
        at = put_date(at, number);
    else if (kind >= VALUE_TIME_MS)
        at = put_time(at, number, fraction_digits(kind));
    else
        at = put_timestamp(at, number, fraction_digits(kind));
    *at++ = '"';
    ASSERT(at - out <= VALUE_TIME_TEXT_BYTES);
    return (size_t)(at - out);
}
