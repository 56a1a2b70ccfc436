using Spectral.Tests.Support;

namespace Spectral.Cli.Tests.Support;

/// <summary>
/// Two hosts on one machine: network namespaces with names and addresses of their own, which a cable joins. MPI reaches
/// the second one by an agent in place of ssh. All is gone when the launcher ends.
/// </summary>
internal static class TwoHosts
{
    // Arguments: a folder of the launch, then the command line of the launcher.
    private const string Script = """
        set -e
        folder=$1; shift
        mount -t tmpfs tmpfs /run
        mkdir /run/netns
        ip netns add one
        ip netns add two
        ip link add cable1 netns one type veth peer name cable2 netns two
        ip -n one addr add 10.99.0.1/24 dev cable1
        ip -n two addr add 10.99.0.2/24 dev cable2
        ip -n one link set lo up
        ip -n two link set lo up
        ip -n one link set cable1 up
        ip -n two link set cable2 up
        printf '%s\n' '#!/bin/sh' 'shift' \
          'exec ip netns exec two unshare --uts sh -c "hostname two; $*"' > "$folder/agent"
        chmod +x "$folder/agent"
        ended=0
        ip netns exec one unshare --uts sh -c 'hostname one; exec "$@"' sh "$@" || ended=$?
        ip netns exec one cat /sys/class/net/cable1/statistics/tx_bytes > "$folder/sent"
        exit $ended
        """;

    /// <summary>Returns the beginning of a command line that starts a program as a rank on each of two hosts.</summary>
    /// <param name="folder">An empty folder. It gets "sent", the bytes that the first host sent to the second.</param>
    public static string[] Start(string folder)
    {
        string[] launcher = MpiLauncher.Start(2);
        return
        [
            .. Within(folder),
            .. launcher[..^2],
            "--host",
            "10.99.0.1:1,10.99.0.2:1",
            "--mca",
            "plm_rsh_agent",
            Path.Combine(folder, "agent"),
            "--mca",
            "btl",
            "tcp,self",
            "--mca",
            "btl_tcp_if_include",
            "10.99.0.0/24",
            "--mca",
            "oob_tcp_if_include",
            "10.99.0.0/24",
            .. launcher[^2..],
        ];
    }

    /// <summary>Returns the beginning of a command line that runs a program on the first of two hosts.</summary>
    /// <inheritdoc cref="Start"/>
    public static string[] Within(string folder) =>
        ["unshare", "--net", "--mount", "bash", "-c", Script, "bash", folder];
}
