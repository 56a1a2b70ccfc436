using System.Globalization;
using Spectral.Training.IO;

namespace Spectral.Training.Distributed;

/// <summary>Says which of several processes this one is, as its launcher tells it by environment variables.</summary>
/// <param name="Rank">The number of the process, from 0.</param>
/// <param name="Count">The number of processes.</param>
/// <param name="LocalRank">The number of the process among those of its machine, from 0.</param>
/// <param name="Master">
/// The host and port at which rank 0 listens while the ranks connect; null: MPI connects them.
/// </param>
public sealed record RankLaunch(int Rank, int Count, int LocalRank, (string Host, int Port)? Master)
{
    /// <summary>The variables of each launcher: rank, number of ranks, and rank on its machine.</summary>
    private static readonly (string Rank, string Count, string Local)[] Launchers =
    [
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
        ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
        // A batch script has SLURM_PROCID too, but only srun says how many its step has.
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    ];

    private const string MasterHost = "MASTER_ADDR";
    private const string MasterPort = "MASTER_PORT";
    private const int UsualPort = 29500;

    /// <summary>A process that was started alone.</summary>
    public static RankLaunch Alone { get; } = new(0, 1, 0, null);

    /// <summary>Whether the process is the one that writes and prints.</summary>
    public bool IsFirst => Rank == 0;

    /// <summary>
    /// Reads the variables of <c>mpirun</c> (OpenMPI, MPICH), <c>srun</c>, or those that <c>torchrun</c> sets: RANK,
    /// WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT. Those of <c>torchrun</c> come first, so that a script may
    /// set them for ranks that an MPI launcher started.
    /// </summary>
    /// <param name="variable">Returns the value of an environment variable, null if it is not set.</param>
    /// <exception cref="InputException">A variable has no valid value, or one of a set is missing.</exception>
    public static RankLaunch From(Func<string, string?> variable)
    {
        if (variable("RANK") is { Length: > 0 } && variable("WORLD_SIZE") is { Length: > 0 })
        {
            if (Number(variable, "WORLD_SIZE", 1) == 1)
                return Alone;
            return Checked(variable, "RANK", "WORLD_SIZE", "LOCAL_RANK") with { Master = MasterOf(variable) };
        }

        foreach ((string rank, string count, string local) in Launchers)
        {
            if (variable(rank) is { Length: > 0 } && variable(count) is { Length: > 0 })
            {
                RankLaunch launch = Checked(variable, rank, count, local);
                return launch.Count == 1 ? Alone : launch;
            }
        }

        return Alone;
    }

    private static RankLaunch Checked(Func<string, string?> variable, string rank, string count, string local)
    {
        int ranks = Number(variable, count, 1);
        int own = Number(variable, rank, 0);
        if (own >= ranks)
            throw new InputException($"{rank}={own}: expected a number below {count}={ranks}");
        return new RankLaunch(own, ranks, variable(local) is null ? 0 : Number(variable, local, 0), null);
    }

    private static (string Host, int Port) MasterOf(Func<string, string?> variable)
    {
        if (variable(MasterHost) is not { Length: > 0 } host)
        {
            throw new InputException(
                $"WORLD_SIZE={variable("WORLD_SIZE")} without {MasterHost}: expected the address of rank 0's machine"
            );
        }

        return (host, variable(MasterPort) is null ? UsualPort : Number(variable, MasterPort, 1));
    }

    private static int Number(Func<string, string?> variable, string name, int least) =>
        int.TryParse(variable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least
            ? number
            : throw new InputException($"{name}={variable(name)}: expected a whole number of {least} or more");
}
