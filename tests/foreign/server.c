/* A Modbus TCP server on Debian's libmodbus: the agent reads and writes what others made.
 *
 *     cc server.c -o server $(pkg-config --cflags --libs libmodbus)
 *
 * It listens on a free loopback port, prints it, and serves one connection after the other until
 * its standard input is closed. Input registers 0 and 2 hold the floats 230.5 and -123.5 (high word
 * first), 72 the float 12,345.0, like an Eastron SDM630; holding registers hold their addresses,
 * coil n is n % 3 == 0.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <modbus.h>

enum { TABLE = 400 };

static void fill(modbus_mapping_t *map)
{
    /* Written by hand: IEEE 754 words, as in tests/golden/test_register_vectors.py. */
    map->tab_input_registers[0] = 0x4366;
    map->tab_input_registers[1] = 0x8000;
    map->tab_input_registers[2] = 0xC2F7;
    map->tab_input_registers[72] = 0x4640;
    map->tab_input_registers[73] = 0xE400;
    for (int n = 0; n < TABLE; n++) {
        map->tab_registers[n] = (uint16_t) n;
        map->tab_bits[n] = n % 3 == 0;
    }
}

/* Whether there is something to read at FD; 0 when standard input has been closed. */
static int readable(int fd)
{
    struct pollfd both[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    for (;;) {
        if (poll(both, 2, -1) < 0 && errno != EINTR)
            return 0;
        if (both[1].revents)
            return 0;
        if (both[0].revents)
            return 1;
    }
}

int main(void)
{
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(TABLE, TABLE, TABLE, TABLE);
    int listening = context && map ? modbus_tcp_listen(context, 1) : -1;
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    if (listening < 0 || getsockname(listening, (struct sockaddr *) &address, &size) < 0) {
        fprintf(stderr, "cannot listen: %s\n", modbus_strerror(errno));
        return 1;
    }
    fill(map);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (readable(listening)) {
        uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];

        if (modbus_tcp_accept(context, &listening) < 0)
            break;
        while (readable(modbus_get_socket(context))) {
            int length = modbus_receive(context, request);

            if (length < 0 || (length > 0 && modbus_reply(context, request, length, map) < 0))
                break;
        }
        modbus_close(context);
    }
    close(listening);
    modbus_mapping_free(map);
    modbus_free(context);
    return 0;
}
