/* The same work as a program for each connection: static, so that what is measured is the
 * server and not the dynamic linker. */
#include <unistd.h>

int
main(void)
{
    char buffer[1024];

    return read(STDIN_FILENO, buffer, sizeof buffer) > 0 &&
                   write(STDOUT_FILENO, "hello\n", 6) == 6
               ? 0
               : 1;
}
