/* SPDX-License-Identifier: MIT
 *
 * The C++ half of exceptions.c: throws, and gives way while an exception is being handled or is on its way.
 */
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include <weft.h>

extern "C" int throw_and_give_way(int number, void (*give_way)(void));

namespace
{

void check(bool condition)
{
    if (!condition)
        std::abort();
}

/* Gives way while its scope is being left by an exception. */
struct leaver {
    void (*give_way)(void);
    int uncaught;

    ~leaver()
    {
        check(std::uncaught_exception() == (uncaught != 0));
        give_way();
        check(std::uncaught_exception() == (uncaught != 0));
    }
};

void throw_it(int number, void (*give_way)(void))
{
    leaver leaver = {give_way, 1};
    give_way();
    throw std::runtime_error(std::to_string(number));
}

/* What is being handled is still that after a switch: "throw;" throws it again. */
void handle(int number, int depth, void (*give_way)(void))
{
    try {
        throw_it(number * 10 + depth, give_way);
    } catch (const std::runtime_error &error) {
        give_way();
        check(error.what() == std::to_string(number * 10 + depth));
        if (depth > 0) {
            try {
                handle(number, depth - 1, give_way);
            } catch (const std::runtime_error &) {
                give_way();
            }
        }
        give_way();
        check(std::current_exception() != nullptr);
        check(!std::uncaught_exception());
        throw;
    }
}

} // namespace

int throw_and_give_way(int number, void (*give_way)(void))
{
    try {
        handle(number, 3, give_way);
    } catch (const std::exception &error) {
        give_way();
        return std::stoi(error.what());
    }
    return -1;
}
