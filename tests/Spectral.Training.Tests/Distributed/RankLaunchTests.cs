using Spectral.Training.Distributed;
using Spectral.Training.IO;

namespace Spectral.Training.Tests.Distributed;

/// <summary>Tests what each launcher's variables say, and which are refused.</summary>
public sealed class RankLaunchTests
{
    [TestCase("OMPI_COMM_WORLD_RANK=5 OMPI_COMM_WORLD_SIZE=8 OMPI_COMM_WORLD_LOCAL_RANK=1")]
    [TestCase("PMI_RANK=5 PMI_SIZE=8 MPI_LOCALRANKID=1")]
    [TestCase("SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=8 SLURM_LOCALID=1")]
    public void AnMpiLauncherConnectsTheRanks(string variables) =>
        Assert.That(Read(variables), Is.EqualTo(new RankLaunch(5, 8, 1, null)));

    [Test]
    public void VariablesOfTorchrunNameAnAddress()
    {
        const string Variables = "RANK=5 WORLD_SIZE=8 LOCAL_RANK=1 MASTER_ADDR=node0";
        Assert.That(Read(Variables + " MASTER_PORT=1234"), Is.EqualTo(new RankLaunch(5, 8, 1, ("node0", 1234))));
        Assert.That(Read(Variables + " PMI_RANK=0 PMI_SIZE=2").Master, Is.EqualTo(("node0", 29500)));
    }

    /// <summary>A batch script has the variables of a task, but srun alone starts several.</summary>
    [TestCase("")]
    [TestCase("SLURM_PROCID=0 SLURM_NTASKS=8 SLURM_LOCALID=0")]
    [TestCase("OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1")]
    [TestCase("RANK=0 WORLD_SIZE=1")]
    [TestCase("WORLD_SIZE=8")]
    public void OtherProcessesAreAlone(string variables) => Assert.That(Read(variables), Is.EqualTo(RankLaunch.Alone));

    [TestCase("RANK=8 WORLD_SIZE=8 MASTER_ADDR=a", "RANK=8: expected a number below WORLD_SIZE=8")]
    [TestCase("RANK=-1 WORLD_SIZE=8 MASTER_ADDR=a", "RANK=-1: expected a whole number of 0 or more")]
    [TestCase("RANK=1 WORLD_SIZE=8", "WORLD_SIZE=8 without MASTER_ADDR")]
    [TestCase("RANK=1 WORLD_SIZE=8 MASTER_ADDR=a MASTER_PORT=x", "MASTER_PORT=x: expected a whole number")]
    [TestCase("OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=0", "OMPI_COMM_WORLD_SIZE=0: expected a whole number of 1")]
    public void WrongValuesAreNamed(string variables, string message) =>
        Assert.That(() => Read(variables), Throws.TypeOf<InputException>().With.Message.Contain(message));

    private static RankLaunch Read(string variables)
    {
        var set = variables
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(variable => variable.Split('='))
            .ToDictionary(parts => parts[0], parts => parts[1]);
        return RankLaunch.From(set.GetValueOrDefault);
    }
}
