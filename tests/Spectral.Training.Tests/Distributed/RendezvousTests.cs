using System.Net;
using System.Net.Sockets;
using Spectral.Training.Distributed;
using Spectral.Training.IO;

namespace Spectral.Training.Tests.Distributed;

/// <summary>Tests the exchange of a group's id between ranks that MPI did not start.</summary>
public sealed class RendezvousTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Test]
    public void AllRanksGetTheBytesOfTheFirst()
    {
        int port = FreePort();
        byte[][] got = [.. Enumerable.Range(0, 4).Select(rank => Bytes(rank))];
        // The first comes last.
        Task[] others = [.. Enumerable.Range(1, 3).Select(rank => Meet(rank))];
        Task first = Meet(0);
        Task.WaitAll([first, .. others], Patience);
        Assert.That(got, Is.All.EqualTo(Bytes(0)));

        Task Meet(int rank) =>
            Task.Run(() =>
                Rendezvous.Exchange(new RankLaunch(rank, 4, rank, ("127.0.0.1", port)), got[rank], Patience)
            );
    }

    [Test]
    public void AStrangerIsNoRank()
    {
        int port = FreePort();
        byte[] got = Bytes(1);
        var first = Task.Run(() =>
            Rendezvous.Exchange(new RankLaunch(0, 2, 0, ("127.0.0.1", port)), Bytes(0), Patience)
        );
        using (TcpClient stranger = Knock(port))
            stranger.GetStream().Write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"u8);
        Rendezvous.Exchange(new RankLaunch(1, 2, 1, ("127.0.0.1", port)), got, Patience);
        Assert.That(first.Wait(Patience));
        Assert.That(got, Is.EqualTo(Bytes(0)));
    }

    [Test]
    public void ARankThatStaysAwayIsWaitedForNoLonger([Values(0, 1)] int rank)
    {
        var launch = new RankLaunch(rank, 2, rank, ("127.0.0.1", FreePort()));
        Assert.That(
            () => Rendezvous.Exchange(launch, Bytes(rank), TimeSpan.FromMilliseconds(300)),
            Throws.TypeOf<InputException>().With.Message.Contain("MASTER_ADDR and MASTER_PORT")
        );
    }

    private static byte[] Bytes(int rank) => [.. Enumerable.Repeat((byte)(rank + 1), 128)];

    private static TcpClient Knock(int port)
    {
        while (true)
        {
            try
            {
                return new TcpClient("127.0.0.1", port);
            }
            catch (SocketException)
            {
                Thread.Sleep(10);
            }
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
