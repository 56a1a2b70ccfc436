using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Spectral.Training.IO;

namespace Spectral.Training.Distributed;

/// <summary>
/// Hands some bytes of rank 0 to all other ranks over TCP, which is how ranks without MPI learn the id of their group.
/// Nothing else goes this way.
/// </summary>
internal static class Rendezvous
{
    // A process that knocks at the port by mistake is told apart by this.
    private static readonly byte[] Greeting = "spectral ranks 1"u8.ToArray();

    /// <summary>Sends the bytes on rank 0 and overwrites them on all others.</summary>
    /// <param name="launch">Which rank this is, and where rank 0 listens.</param>
    /// <param name="bytes">The bytes, as many on all ranks.</param>
    /// <param name="patience">How long a rank waits for the others.</param>
    /// <exception cref="InputException">Not all ranks came in time, or the address is not valid.</exception>
    public static void Exchange(RankLaunch launch, Span<byte> bytes, TimeSpan patience)
    {
        (string host, int port) = launch.Master!.Value;
        long started = Stopwatch.GetTimestamp();
        try
        {
            if (launch.IsFirst)
                Serve(launch, port, bytes.ToArray(), Left);
            else
                Fetch(launch, host, port, bytes, Left);
        }
        catch (Exception error) when (error is SocketException or IOException or OperationCanceledException)
        {
            throw new InputException(
                $"rank {launch.Rank} of {launch.Count}: the ranks did not meet at {host}:{port} within "
                    + $"{patience.TotalSeconds:0} s ({error.Message}); expected {launch.Count} processes with this "
                    + "MASTER_ADDR and MASTER_PORT, and a port that is free on the machine of rank 0",
                error
            );
        }

        TimeSpan Left() =>
            patience - Stopwatch.GetElapsedTime(started) is { Ticks: > 0 } left
                ? left
                : throw new OperationCanceledException("the time is over");
    }

    private static void Serve(RankLaunch launch, int port, byte[] bytes, Func<TimeSpan> left)
    {
        using var listener = new TcpListener(IPAddress.IPv6Any, port);
        listener.Server.DualMode = true;
        listener.Start(launch.Count);
        var met = new HashSet<int> { launch.Rank };
        while (met.Count < launch.Count)
        {
            using var timeout = new CancellationTokenSource(left());
            using TcpClient client = listener.AcceptTcpClientAsync(timeout.Token).AsTask().GetAwaiter().GetResult();
            client.ReceiveTimeout = client.SendTimeout = Milliseconds(left());
            byte[] asked = new byte[Greeting.Length + sizeof(int)];
            NetworkStream stream = client.GetStream();
            try
            {
                stream.ReadExactly(asked);
                if (!asked.AsSpan(0, Greeting.Length).SequenceEqual(Greeting))
                    continue;
                stream.Write(bytes);
                met.Add(BitConverter.ToInt32(asked, Greeting.Length));
            }
            catch (IOException)
            {
                // It went away; a rank tries again.
            }
        }
    }

    private static void Fetch(RankLaunch launch, string host, int port, Span<byte> bytes, Func<TimeSpan> left)
    {
        while (true)
        {
            try
            {
                using var client = new TcpClient();
                using var timeout = new CancellationTokenSource(left());
                client.ConnectAsync(host, port, timeout.Token).AsTask().GetAwaiter().GetResult();
                client.ReceiveTimeout = client.SendTimeout = Milliseconds(left());
                NetworkStream stream = client.GetStream();
                stream.Write([.. Greeting, .. BitConverter.GetBytes(launch.Rank)]);
                stream.ReadExactly(bytes);
                return;
            }
            catch (SocketException error) when (error.SocketErrorCode is SocketError.ConnectionRefused)
            {
                // Rank 0 does not listen yet.
                Thread.Sleep(TimeSpan.FromMilliseconds(50));
                left();
            }
        }
    }

    private static int Milliseconds(TimeSpan time) => (int)Math.Clamp(time.TotalMilliseconds, 1, int.MaxValue);
}
